"""A front end's request until its reply, and the kernel's answers in place of the interpreter's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.inputtransformer2 import TransformerManager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ...wire.messages import Message
    from ..out.outbox import Outbox
    from .move import Move
    from .pause import Pause

T = TypeVar("T")

# A channel and a subshell, None for the main shell. The requests of a queue run one after the other.
Queue = tuple[str, str | None]
MAIN_QUEUE: Queue = ("shell", None)


class WaitInterruptedError(Exception):
    """The reader interrupted a cell that waited for the kernel."""


@dataclass
class Request:
    """A request that has no reply yet.

    idents: the ZMQ identities of the client, for the reply.
    stop_on_error: whether an error in this cell aborts the cells behind it.
    aborted: whether a cell before this one had an error.
    announced: whether its status `busy` is published.
    execution_count: the number of this cell; None before its `execute_input`.
    alone: whether the kernel runs this cell itself, without the interpreter.
    move: the move that this cell has started, or None. pause: the same for a pause.
    is_held: whether the cell waits for its packages or for the project to be sent, although there is an
        interpreter.
    interrupted: set when the reader interrupts the cell while it waits for the kernel.
    arrived: when the relay got it, by the loop's clock; 0 for other requests than cells.
    shows_error: whether the interpreter has shown an error in this cell.
    """

    message: Message
    idents: list[bytes]
    stop_on_error: bool = False
    aborted: bool = False
    announced: bool = False
    execution_count: int | None = None
    alone: bool = False
    move: Move | None = None
    is_held: bool = False
    pause: Pause | None = None
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: float = 0.0
    shows_error: bool = False

    @property
    def channel(self) -> str:
        """The channel of the reply."""
        return self.message.channel

    @property
    def is_execution(self) -> bool:
        """Whether this request runs code."""
        return self.message.msg_type == "execute_request"

    @property
    def subshell_id(self) -> str | None:
        """The subshell that this request is for; None for the main shell."""
        return self.message.header.get("subshell_id")

    @property
    def queue(self) -> Queue:
        """The queue that this request is in."""
        return self.channel, self.subshell_id

    async def until_interrupted(self, awaited: Awaitable[T]) -> T:
        """Await something that the kernel does for this cell. Raises WaitInterruptedError on an interrupt."""
        work = asyncio.ensure_future(awaited)
        interrupted: asyncio.Future[Any] = asyncio.ensure_future(self.interrupted.wait())
        waited: list[asyncio.Future[Any]] = [work, interrupted]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise WaitInterruptedError
            return work.result()
        finally:
            interrupted.cancel()
            work.cancel()


def empty_reply(message: Message) -> dict[str, Any]:
    """Return the content of the reply to an introspection request that the interpreter does not answer.

    The reply says: no matches, not found, …. Whether code is complete hardly depends on the interpreter,
    so this process says that. It compiles the code and does not run it.
    """
    cursor = message.content.get("cursor_pos", 0)
    if message.msg_type == "is_complete_request":
        return _completeness(str(message.content.get("code", "")))
    replies: dict[str, dict[str, Any]] = {
        "complete_request": {"matches": [], "cursor_start": cursor, "cursor_end": cursor, "metadata": {}},
        "inspect_request": {"found": False, "data": {}, "metadata": {}},
        "history_request": {"history": []},
        "comm_info_request": {"comms": {}},
    }
    return {"status": "ok", **replies[message.msg_type]}


def _completeness(code: str) -> dict[str, Any]:
    try:
        status, indent = TransformerManager().check_complete(code)
    except RecursionError:
        return {"status": "unknown"}
    return {"status": status, "indent": " " * (indent or 0)} if status == "incomplete" else {"status": status}


class StandIn:
    """Answers requests in place of the interpreter, when there is none yet or it has died.

    owned_comms: returns the kernel's own comms with a target name, as in a `comm_info_reply`.
    """

    def __init__(self, outbox: Outbox, owned_comms: Callable[[str | None], dict[str, Any]]) -> None:
        self._outbox = outbox
        self._owned_comms = owned_comms
        self._execution_count = 0

    def observe(self, execute_input: Message, request: Request | None) -> None:
        """Take the number of a cell from the interpreter's message, for a reply that the kernel sends."""
        count = execute_input.content.get("execution_count")
        if isinstance(count, int):
            self._execution_count = count
            if request is not None:
                request.execution_count = count

    def number(self, request: Request) -> int:
        """Return the number of a cell. A cell that the interpreter has not numbered takes the next number."""
        if request.execution_count is None:
            content = request.message.content
            if not content.get("silent"):
                self._execution_count += 1
                described = {"code": str(content.get("code", "")), "execution_count": self._execution_count}
                self.announce(request)
                self._outbox.say(request.message, "execute_input", described)
            request.execution_count = self._execution_count
        return request.execution_count

    def answer(self, request: Request) -> bool:
        """Answer a request that should not wait for an interpreter; return whether it was one."""
        msg_type = request.message.msg_type
        if msg_type in ("complete_request", "inspect_request", "is_complete_request", "comm_info_request"):
            self.reply(request, empty_reply(request.message))
            return True
        if msg_type.startswith("comm_"):
            self.announce(request)
            if msg_type == "comm_open":
                closed = {"comm_id": request.message.content["comm_id"], "data": {}}
                self._outbox.say(request.message, "comm_close", closed)
            self._outbox.say(request.message, "status", {"execution_state": "idle"})
            return True
        return False

    def reply(self, request: Request, content: dict[str, Any]) -> None:
        """Send the reply and the status `idle`. Add the kernel's own comms to a list of comms."""
        if request.message.msg_type == "comm_info_request" and "comms" in content:
            own = self._owned_comms(request.message.content.get("target_name"))
            content = {**content, "comms": {**content["comms"], **own}}
        self.announce(request)
        if request.message.msg_type.endswith("_request"):
            self._outbox.answer(request.message, request.idents, content)
        self._outbox.say(request.message, "status", {"execution_state": "idle"})

    def announce(self, request: Request) -> None:
        """Publish the status `busy`, once for each request."""
        if not request.announced:
            request.announced = True
            self._outbox.say(request.message, "status", {"execution_state": "busy"})

    def fail(self, request: Request, ename: str, evalue: str) -> None:
        """Answer with an error. A cell shows it as one line of output."""
        error = {"ename": ename, "evalue": evalue, "traceback": [f"\x1b[0;31m{ename}\x1b[0m: {evalue}"]}
        content: dict[str, Any] = {"status": "error", **error}
        if request.is_execution:
            content.update(execution_count=self.number(request), payload=[])
            self.announce(request)
            self._outbox.say(request.message, "error", error)
        self.reply(request, content)

    def succeed(self, request: Request) -> None:
        """Answer a cell that the kernel has run itself."""
        reply: dict[str, Any] = {
            "status": "ok",
            "execution_count": self.number(request),
            "payload": [],
            "user_expressions": {},
        }
        self.reply(request, reply)

    def abort(self, request: Request) -> None:
        """Answer a cell behind a failed cell, as ipykernel does."""
        self.reply(request, {"status": "aborted"})
