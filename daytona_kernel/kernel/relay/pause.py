"""A pause: the sandbox is frozen, with the interpreter in it, by `%sandbox pause`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ...wire.messages import Message
    from ..event_loop import EventLoop
    from ..out.outbox import Outbox
    from .requests import Request
    from .slot import InterpreterSlot

_OTHERS = (
    "The sandbox was not paused, because other cells run or wait. Run %sandbox pause again, as the last "
    "cell.\n"
)


class Pause:
    """A pause for the cell of a `%sandbox` magic. It belongs to the relay's loop.

    The cell ends in the interpreter first, because a frozen interpreter would end it only when it goes on.
    Until the sandbox is paused, the cell's reply and its status `idle` wait here: a refusal is the cell's own
    error.

    work: pauses the sandbox, on the loop `api`, and returns a sentence about it.
    others_run: returns whether cells other than the pausing one run or wait.
    """

    def __init__(
        self,
        request: Request,
        work: Callable[[], Awaitable[str]],
        *,
        slot: InterpreterSlot,
        api: EventLoop,
        outbox: Outbox,
        others_run: Callable[[], bool],
    ) -> None:
        self._request = request
        self._work = work
        self._slot = slot
        self._api = api
        self._outbox = outbox
        self._others_run = others_run
        self._held: list[Message] = []

    def hold(self, message: Message) -> bool:
        """Keep a message of the pausing cell if it tells the cell's end; return whether it does."""
        ends = message.msg_type == "execute_reply" or (
            message.msg_type == "status" and message.content.get("execution_state") == "idle"
        )
        if ends:
            self._held.append(message)
        return ends

    async def finish(self) -> list[Message]:
        """Pause the sandbox; return what `hold` has kept. Raises DaytonaError if that fails.

        The interpreter, which lives on then, is used again.
        """
        if self._others_run():
            self._say("stderr", _OTHERS)
            return self._held
        paused = False
        self._slot.detach()
        try:
            await self._slot.ended()
            self._say("stdout", await self._api.run(self._pause()) + "\n")
            paused = True
        finally:
            self._slot.reopen(start=not paused or self._others_run())
        return self._held

    async def _pause(self) -> str:
        """Do the work of the host. This runs on the API thread's loop."""
        return await self._work()

    def _say(self, stream: str, text: str) -> None:
        self._outbox.say(self._request.message, "stream", {"name": stream, "text": text})
