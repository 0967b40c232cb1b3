"""A front end's request while it has no reply, and what the kernel says in an interpreter's place."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire.messages import Message
    from ..out.outbox import Outbox


@dataclass
class Request:
    """A request that has no reply yet.

    idents: the way back to who asked. stop_on_error: whether its failure aborts those behind it.
    aborted: whether one before it has failed. announced: whether its `busy` was said already.
    """

    message: Message
    idents: list[bytes]
    stop_on_error: bool = False
    aborted: bool = False
    announced: bool = False
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def channel(self) -> str:
        """The channel that the reply goes to."""
        return self.message.channel

    @property
    def is_execution(self) -> bool:
        """Whether this runs code."""
        return self.message.msg_type == "execute_request"

    @property
    def subshell_id(self) -> str | None:
        """The subshell that it is for; None for the main shell."""
        return self.message.header.get("subshell_id")


def nothing_known(message: Message) -> dict[str, Any]:
    """Return the reply to a question of `introspection` when nothing that has to do with it is known."""
    cursor = message.content.get("cursor_pos", 0)
    known: dict[str, dict[str, Any]] = {
        "complete_request": {"matches": [], "cursor_start": cursor, "cursor_end": cursor, "metadata": {}},
        "inspect_request": {"found": False, "data": {}, "metadata": {}},
        "is_complete_request": {"status": "unknown"},
        "history_request": {"history": []},
        "comm_info_request": {"comms": {}},
    }
    return {"status": "ok", **known[message.msg_type]}


class StandIn:
    """Answers requests in the interpreter's place: there is none yet, or it died with them.

    owned_comms: lists the kernel's own comms of a target.
    """

    def __init__(self, outbox: Outbox, owned_comms: Callable[[str | None], dict[str, Any]]) -> None:
        self._outbox = outbox
        self._owned_comms = owned_comms

    def answer(self, request: Request) -> bool:
        """Answer what need not wait for an interpreter; return whether it was such a request."""
        msg_type = request.message.msg_type
        if msg_type in ("complete_request", "inspect_request", "is_complete_request", "comm_info_request"):
            self.reply(request, nothing_known(request.message))
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
        """Give a request its reply and its `idle`; the kernel's own comms are added to a list of comms."""
        if request.message.msg_type == "comm_info_request" and "comms" in content:
            own = self._owned_comms(request.message.content.get("target_name"))
            content = {**content, "comms": {**content["comms"], **own}}
        self.announce(request)
        if request.message.msg_type.endswith("_request"):
            self._outbox.answer(request.message, request.idents, content)
        self._outbox.say(request.message, "status", {"execution_state": "idle"})

    def announce(self, request: Request) -> None:
        """Say that the kernel is busy with a request, once."""
        if not request.announced:
            request.announced = True
            self._outbox.say(request.message, "status", {"execution_state": "busy"})

    def fail(self, request: Request, ename: str, evalue: str) -> None:
        """Answer with an error; a cell shows it as its output, in one line."""
        error = {"ename": ename, "evalue": evalue, "traceback": [f"\x1b[0;31m{ename}\x1b[0m: {evalue}"]}
        content: dict[str, Any] = {"status": "error", **error}
        if request.is_execution:
            self.announce(request)
            self._outbox.say(request.message, "error", error)
            content.update(execution_count=None, payload=[])
        self.reply(request, content)

    def succeed(self, request: Request) -> None:
        """Answer a cell that the kernel has run itself."""
        reply: dict[str, Any] = {
            "status": "ok",
            "execution_count": None,
            "payload": [],
            "user_expressions": {},
        }
        self.reply(request, reply)

    def abort(self, request: Request) -> None:
        """Answer a cell whose predecessor has failed, as ipykernel does."""
        self.reply(request, {"status": "aborted"})
