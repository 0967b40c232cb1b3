"""A move: the replacement of the kernel's sandbox, by `%sandbox new`, `attach`, `stop` or `delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..event_loop import EventLoop
    from ..out.outbox import Outbox
    from .requests import Request
    from .slot import InterpreterSlot


class Move:
    """A move for the cell of a `%sandbox` magic. It belongs to the relay's loop.

    A move has three steps:

    1. leaving: the slot lets go of its interpreter. The cells in it fail with InterpreterReplacedError,
       and the relay sends all of them but the moving cell to the next interpreter.
    2. working: the interpreter ends in good order. The host replaces the sandbox, and the moving cell shows
       the sentence that this returns.
    3. starting: the slot starts the next interpreter, if this move or a waiting request wants one.

    An interrupt before step 1 ends the magic and leaves the kernel as it is. After step 1, a move that left
    an interpreter ignores interrupts, because its cell has no interpreter to return to.

    request: the moving cell.
    work: replaces the sandbox, on the loop `api`, and returns a sentence about it.
    start: whether the next interpreter starts at once, and not with the next cell.
    others_wait: returns whether cells other than the moving one wait for an interpreter.
    """

    def __init__(
        self,
        request: Request,
        work: Callable[[], Awaitable[str]],
        *,
        start: bool,
        slot: InterpreterSlot,
        api: EventLoop,
        outbox: Outbox,
        others_wait: Callable[[], bool],
    ) -> None:
        self._request = request
        self._work = work
        self._start = start
        self._slot = slot
        self._api = api
        self._outbox = outbox
        self._others_wait = others_wait
        self._is_leaving = False

    def leave(self) -> None:
        """Let go of the interpreter, if there is one. `finish` or `abandon` must follow."""
        self._is_leaving = True
        self._slot.close()

    async def finish(self) -> None:
        """Replace the sandbox, then start the next interpreter. Raises DaytonaError if that fails."""
        self._is_leaving = False
        start = False
        try:
            await self._slot.ended()
            sentence = await self._api.run(self._replace_sandbox())
            self._outbox.say(self._request.message, "stream", {"name": "stdout", "text": sentence + "\n"})
            start = self._start
        finally:
            self._slot.reopen(start=start or self._others_wait())

    def abandon(self) -> None:
        """Start the next interpreter in the old sandbox, if the cell ended between `leave` and `finish`."""
        if self._is_leaving:
            self._is_leaving = False
            self._slot.reopen(start=self._others_wait())

    async def _replace_sandbox(self) -> str:
        """Do the work of the host. This runs on the API thread's loop."""
        return await self._work()
