"""The way of a magic's output to its cell: through the interpreter, where the cell waits.

The steps of a magic in one turn of the loop travel as one message. A magic that prints and ends at once needs
one message in place of three, each of which costs two thread hops and a packet. A magic that prints without
end is slowed to one message per pace, because front ends lose messages when thousands come at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING

from ...errors import DaytonaError
from ...wire.magic_messages import (
    MagicAnswer,
    MagicEnd,
    MagicOutput,
    Outcome,
    Print,
    Step,
    VariableRefused,
    VariableSent,
    VariableWanted,
)

if TYPE_CHECKING:
    from ...wire.values import EncodedValue

# Seconds between two messages, unless so much text waits. The first message of a pause leaves at once.
_PACE_SECONDS = 0.05
_MOST_TEXT = 64 << 10
# A magic that has so many steps waiting waits, too.
_MOST_STEPS = 1024

SendAnswer = Callable[[MagicAnswer], Awaitable[None]]


class CellChannel:
    """One magic call's way to its cell. send: passes an answer on to the interpreter."""

    def __init__(self, call_id: str, send: SendAnswer) -> None:
        self._call_id = call_id
        self._send = send
        self._steps: list[Step] = []
        self._text = 0  # characters to print in these steps
        self._sent_at = 0.0
        # Set when so much waits that the next message leaves at once.
        self._full = asyncio.Event()
        # Only the holder of this lock sends, so that answers leave in order.
        self._sending = asyncio.Lock()
        self._flush: asyncio.Task[None] | None = None
        self._variable: asyncio.Future[VariableSent | VariableRefused] | None = None

    async def take(self, step: Step) -> None:
        """Have the cell take a step, soon. Returns later while too many steps wait."""
        self._steps.append(step)
        self._text += len(step.text) if isinstance(step, Print) else 0
        if self._text >= _MOST_TEXT or len(self._steps) >= _MOST_STEPS:
            self._full.set()
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._send_soon())
        elif self._sending.locked() or self._full.is_set():
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
            await self._send(MagicEnd(self._call_id, self._take_steps(), outcome))

    async def _send_soon(self) -> None:
        # The magic may print more or end in this turn of the loop; its end then comes in the next one.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        while self._steps:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._sent_at + _PACE_SECONDS):
                    await self._full.wait()
            async with self._sending:
                await self._send_steps()

    async def _send_steps(self) -> None:
        if self._steps:
            await self._send(MagicOutput(self._call_id, self._take_steps()))
            self._sent_at = asyncio.get_running_loop().time()

    def _take_steps(self) -> tuple[Step, ...]:
        """Return the waiting steps, with one step for texts that are printed one after the other."""
        steps, self._steps, self._text = self._steps, [], 0
        self._full.clear()
        joined: list[Step] = []
        for stream, group in groupby(steps, lambda step: step.stream if isinstance(step, Print) else None):
            if stream is None:
                joined += group
            else:
                joined.append(Print(stream, "".join(step.text for step in group if isinstance(step, Print))))
        return tuple(joined)
