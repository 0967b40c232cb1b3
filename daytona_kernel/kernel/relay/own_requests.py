"""Own requests: the kernel sends them to the interpreter for itself. No front end sees their messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ...errors import InterpreterDiedError
from ...wire.messages import Message

if TYPE_CHECKING:
    from ..out.outbox import Outbox

Send = Callable[[Message], Awaitable[None]]

# A reply and its `idle` come in either order. After this, no more messages of an own request arrive.
_LATE_SECONDS = 1.0


class OwnRequests:
    """The own requests that are not finished. They belong to the relay's loop.

    send: sends a message to the interpreter.
    """

    def __init__(self, outbox: Outbox, send: Send) -> None:
        self._outbox = outbox
        self._send = send
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def ask(
        self, channel: str, msg_type: str, content: dict[str, Any], subshell_id: str | None = None
    ) -> dict[str, Any]:
        """Send a request and return the content of its reply.

        subshell_id: one of the interpreter's subshells; None for its main shell.

        Raises InterpreterDiedError if the interpreter ends before it replies.
        """
        return await self.send(self._outbox.request(channel, msg_type, content, subshell_id))

    async def send(self, request: Message) -> dict[str, Any]:
        """Send a finished request and return the content of its reply. Raises InterpreterDiedError."""
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[request.msg_id] = reply
        await self._send(request)
        return await reply

    def take(self, message: Message) -> bool:
        """Take a message of the interpreter if an own request caused it; return whether it did."""
        reply = self._replies.get(message.parent_id)
        if reply is None:
            return False
        if message.channel != "iopub":
            if not reply.done():
                reply.set_result(message.content)
        elif message.msg_type == "status" and message.content.get("execution_state") == "idle":
            asyncio.get_running_loop().call_later(_LATE_SECONDS, self._replies.pop, message.parent_id, None)
        return True

    def forget_interpreter(self) -> None:
        """Fail all requests, because their interpreter is gone."""
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(InterpreterDiedError("The interpreter ended before it replied."))
        self._replies.clear()
