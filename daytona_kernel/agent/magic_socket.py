"""The unix socket where magics in the interpreter wait for the kernel's answers.

Each magic call opens a connection and sends its call id as a line. The agent replies with an empty
line: from then on it passes on the call's answers, each as one line. A magic that is interrupted
closes its sending half. The connection ends after the call's MagicEnd.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..wire.agent_messages import MagicClosed
from ..wire.magic_messages import MagicAnswer, MagicEnd, Raised, encode_answer_line

if TYPE_CHECKING:
    from collections.abc import Callable

_ABANDONED = (
    "The kernel was restarted while this magic ran, and its result is lost. The variables are still there. "
    "Run the cell again."
)


class MagicSocket:
    """The magic calls that wait for answers.

    on_closed: called when a call's cell was interrupted, or its interpreter is gone.
    """

    def __init__(self, on_closed: Callable[[MagicClosed], None]) -> None:
        self._on_closed = on_closed
        self._calls: dict[str, _WaitingCall] = {}

    async def listen(self, path: str) -> asyncio.Server:
        """Listen on a unix socket."""
        return await asyncio.start_unix_server(self._serve, path)

    def take(self, answer: MagicAnswer) -> None:
        """Pass an answer on to its call, if that still waits."""
        call = self._calls.get(answer.call_id)
        if call is not None:
            call.take(answer)

    def abandon(self) -> None:
        """End all calls, because the kernel that ran them has crashed."""
        for call_id, call in self._calls.items():
            call.take(MagicEnd(call_id, (), Raised("KernelError", _ABANDONED, None)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call_id = (await reader.readline()).decode().strip()
        self._calls[call_id] = call = _WaitingCall(writer)
        writer.write(b"\n")
        try:
            await reader.read()  # returns when the magic has its end, or was interrupted
            if not call.ended.is_set():
                self._on_closed(MagicClosed(call_id))
                await call.ended.wait()
        finally:
            del self._calls[call_id]
            writer.close()


class _WaitingCall:
    """A magic call. ended: set once its MagicEnd was passed on."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.ended = asyncio.Event()

    def take(self, answer: MagicAnswer) -> None:
        self._writer.write(encode_answer_line(answer))
        if isinstance(answer, MagicEnd):
            self.ended.set()
