"""The way of a magic's output to its cell: through the interpreter, where the cell waits.

What a magic does in one go travels as one message. A magic that prints and ends at once needs one
message in place of three, each of which costs two thread hops and a packet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ...errors import DaytonaError
from ...wire.magic_messages import (
    MagicAnswer,
    MagicEnd,
    MagicOutput,
    Outcome,
    Step,
    VariableRefused,
    VariableSent,
    VariableWanted,
)

if TYPE_CHECKING:
    from ...wire.values import EncodedValue

# A magic that has so many steps waiting waits, too.
_MOST_STEPS = 64

SendAnswer = Callable[[MagicAnswer], Awaitable[None]]


class CellChannel:
    """One magic call's way to its cell. send: passes an answer on to the interpreter."""

    def __init__(self, call_id: str, send: SendAnswer) -> None:
        self._call_id = call_id
        self._send = send
        self._steps: list[Step] = []
        # Only the holder of this lock sends, so that answers leave in order.
        self._sending = asyncio.Lock()
        self._flush: asyncio.Task[None] | None = None
        self._variable: asyncio.Future[VariableSent | VariableRefused] | None = None

    async def take(self, step: Step) -> None:
        """Have the cell take a step, soon. Returns later while an earlier message is on its way."""
        self._steps.append(step)
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._send_soon())
        elif self._sending.locked() or len(self._steps) >= _MOST_STEPS:
            await asyncio.shield(self._flush)

    async def ask(self, name: str) -> EncodedValue:
        """Return a variable of the user. Raises DaytonaError when it cannot be copied."""
        self._variable = asyncio.get_running_loop().create_future()
        async with self._sending:
            await self._send_steps()
            await self._send(VariableWanted(self._call_id, name))
        answer = await self._variable
        if isinstance(answer, VariableRefused):
            raise DaytonaError(f"{name!r} cannot be copied: {answer.reason}.")
        return answer.value

    def answered(self, answer: VariableSent | VariableRefused) -> None:
        """Take the interpreter's answer to `ask`."""
        if self._variable is not None and not self._variable.done():
            self._variable.set_result(answer)

    async def end(self, outcome: Outcome) -> None:
        """Have the cell take the steps that are left, and then this outcome."""
        async with self._sending:
            steps, self._steps = self._steps, []
            await self._send(MagicEnd(self._call_id, tuple(steps), outcome))

    async def _send_soon(self) -> None:
        # The magic may go on printing or end in this turn of the loop; its end then comes in the next one.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with self._sending:
            while self._steps:
                await self._send_steps()

    async def _send_steps(self) -> None:
        if self._steps:
            steps, self._steps = self._steps, []
            await self._send(MagicOutput(self._call_id, tuple(steps)))
