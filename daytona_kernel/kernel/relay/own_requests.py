"""Own requests: the kernel sends them to the interpreter for itself. No front end sees their messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ...errors import InterpreterDiedError, InterpreterError
from ...wire.messages import Message

if TYPE_CHECKING:
    from ..out.outbox import Outbox

Send = Callable[[Message], Awaitable[None]]

# A reply and its `idle` come in either order. After this, no more messages of an own request arrive.
_LATE_SECONDS = 1.0
# A malformed request has an `idle` and no reply. A large reply may take longer than its `idle`.
_UNANSWERED_SECONDS = 5.0


class OwnRequests:
    """The own requests that are not finished. They belong to the relay's loop.

    send: sends a message to the interpreter. post: sends one in front of the next message.
    """

    def __init__(self, outbox: Outbox, send: Send, post: Callable[[Message], None]) -> None:
        self._outbox = outbox
        self._send = send
        self._post = post
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
        """Send a finished request and return the content of its reply.

        Raises InterpreterDiedError if the interpreter ends before it replies, and InterpreterError if it has
        handled the request without a reply.
        """
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[request.msg_id] = reply
        await self._send(request)
        return await reply

    def post(self, channel: str, msg_type: str, content: dict[str, Any], subshell_id: str | None) -> None:
        """Send a request in front of the next message to the interpreter, and ignore the reply; see `ask`."""
        request = self._outbox.request(channel, msg_type, content, subshell_id)
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        reply.add_done_callback(asyncio.Future.exception)  # asyncio would log that nobody looks at it
        self._replies[request.msg_id] = reply
        self._post(request)

    def take(self, message: Message) -> bool:
        """Take a message of the interpreter if an own request caused it; return whether it did."""
        reply = self._replies.get(message.parent_id)
        if reply is None:
            return False
        if message.channel != "iopub":
            if not reply.done():
                reply.set_result(message.content)
        elif message.msg_type == "status" and message.content.get("execution_state") == "idle":
            seconds = _LATE_SECONDS if reply.done() else _UNANSWERED_SECONDS
            asyncio.get_running_loop().call_later(seconds, self._forget, message.parent_id)
        return True

    def _forget(self, msg_id: str) -> None:
        reply = self._replies.pop(msg_id, None)
        if reply is not None and not reply.done():
            reply.set_exception(InterpreterError("The interpreter did not reply."))

    def forget_interpreter(self) -> None:
        """Fail all requests, because their interpreter is gone."""
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(InterpreterDiedError("The interpreter ended before it replied."))
        self._replies.clear()
