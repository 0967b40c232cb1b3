"""What the kernel itself asks the interpreter: no front end may see these, nor what they cause."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ...errors import InterpreterDiedError
from ...wire.messages import Message

if TYPE_CHECKING:
    from ..out.outbox import Outbox

Send = Callable[[Message], Awaitable[None]]


class OwnRequests:
    """The kernel's own requests. They belong to the relay's loop. send: sends to the interpreter."""

    def __init__(self, outbox: Outbox, send: Send) -> None:
        self._outbox = outbox
        self._send = send
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def ask(
        self, channel: str, msg_type: str, content: dict[str, Any], subshell_id: str | None = None
    ) -> dict[str, Any]:
        """Send a request, maybe to one of the interpreter's subshells, and return the content of its reply.

        Raises InterpreterDiedError when the interpreter ends before.
        """
        return await self.ask_as(self._outbox.request(channel, msg_type, content, subshell_id))

    async def ask_as(self, request: Message) -> dict[str, Any]:
        """The same for a request that is made already."""
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[request.msg_id] = reply
        await self._send(request)
        return await reply

    def take(self, message: Message) -> bool:
        """Take a message of the interpreter if a question has caused it; return whether one has."""
        reply = self._replies.get(message.parent_id)
        if reply is None:
            return False
        if message.channel != "iopub":
            if not reply.done():
                reply.set_result(message.content)
        elif message.msg_type == "status" and message.content.get("execution_state") == "idle":
            # Reply and idle come in either order; the idle is the last that iopub says of it.
            asyncio.get_running_loop().call_later(1.0, self._replies.pop, message.parent_id, None)
        return True

    def forget_interpreter(self) -> None:
        """Nothing will be answered any more."""
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(InterpreterDiedError("The interpreter ended before it had answered."))
        self._replies.clear()
