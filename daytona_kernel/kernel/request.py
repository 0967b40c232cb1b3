"""A front end's request while it has no reply, and what the kernel says in an interpreter's place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..wire.messages import Message
from .outbox import Outbox


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


# What is answered at once while there is no interpreter: nothing is known yet.
_EMPTY: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "complete_request": lambda content: {
        "status": "ok",
        "matches": [],
        "cursor_start": content.get("cursor_pos", 0),
        "cursor_end": content.get("cursor_pos", 0),
        "metadata": {},
    },
    "inspect_request": lambda _: {"status": "ok", "found": False, "data": {}, "metadata": {}},
    "comm_info_request": lambda _: {"status": "ok", "comms": {}},
}


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
        if msg_type in _EMPTY:
            content = _EMPTY[msg_type](request.message.content)
            if msg_type == "comm_info_request":
                content["comms"] = self._owned_comms(request.message.content.get("target_name"))
            self._say_whole(request, content)
            return True
        if msg_type.startswith("comm_"):
            self.announce(request)
            if msg_type == "comm_open":
                closed = {"comm_id": request.message.content["comm_id"], "data": {}}
                self._outbox.say(request.message, "comm_close", closed)
            self._outbox.say(request.message, "status", {"execution_state": "idle"})
            return True
        return False

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
        self._say_whole(request, content)

    def succeed(self, request: Request) -> None:
        """Answer a cell that the kernel has run itself."""
        reply: dict[str, Any] = {
            "status": "ok",
            "execution_count": None,
            "payload": [],
            "user_expressions": {},
        }
        self._say_whole(request, reply)

    def abort(self, request: Request) -> None:
        """Answer a cell whose predecessor has failed, as ipykernel does."""
        self._say_whole(request, {"status": "aborted"})

    def _say_whole(self, request: Request, reply: dict[str, Any]) -> None:
        self.announce(request)
        if request.message.msg_type.endswith("_request"):
            self._outbox.answer(request.message, request.idents, reply)
        self._outbox.say(request.message, "status", {"execution_state": "idle"})
