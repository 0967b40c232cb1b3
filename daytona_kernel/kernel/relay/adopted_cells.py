"""Adopted cells: a crashed kernel has sent them, and they still run when this kernel takes its place.

Their replies go to the client that sent them: front ends use the message session of their headers as the
identity of their sockets, and keep it when a kernel is replaced. A page has forgotten the cell by then and
shows no question of its `input()`. So the next cell asks that question again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ...wire.messages import Message, encode_json
from ...wire.schema import ProtocolError
from .requests import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from ..out.outbox import Outbox
    from .questions import Questions
    from .request_table import RequestTable
    from .requests import StandIn

# The agent is in the sandbox, and could make up any number.
_MOST_CELLS = 100

_ASKED_AGAIN = "A cell that ran before the kernel crashed asks: "
_INTERRUPTED = (
    "A cell that ran before the kernel crashed was waiting for input. Nobody can answer here, so it was "
    "interrupted."
)


class AdoptedCells:
    """The adopted cells. They belong to the relay's loop.

    requests: the relay's table of requests without a reply, by message id.
    send: sends a message to the interpreter. interrupt: interrupts it. spawn: runs a coroutine as a task of
    the relay.
    """

    def __init__(
        self,
        outbox: Outbox,
        stand_in: StandIn,
        questions: Questions,
        requests: RequestTable,
        *,
        send: Callable[[Message], Awaitable[None]],
        interrupt: Callable[[], Awaitable[None]],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._outbox = outbox
        self._stand_in = stand_in
        self._questions = questions
        self._requests = requests
        self._send = send
        self._interrupt = interrupt
        self._spawn = spawn
        # Whether the agent has yet to say which cells still run.
        self._is_expected = False
        self._has_way = asyncio.Event()
        self._has_way.set()
        self._cells: dict[str, Request] = {}
        # The latest question of an adopted cell that has no answer yet, and the task that asks it again.
        self._question: Message | None = None
        self._asking: asyncio.Task[None] | None = None

    def expect(self) -> None:
        """Expect the cells of the interpreter that ran before. Otherwise `adopt` does nothing."""
        self._is_expected = True

    def adopt(self, headers: Iterable[dict[str, Any]]) -> None:
        """Adopt the cells whose requests have these headers, and publish that they run."""
        expected, self._is_expected = self._is_expected, False
        for header in list(headers)[: _MOST_CELLS if expected else 0]:
            session = header.get("session")
            message = Message("shell", [encode_json(header), b"{}", b"{}", b"{}"])
            if message.msg_type != "execute_request" or message.msg_id in self._requests:
                continue
            idents = [session.encode()] if isinstance(session, str) else []
            # An error in it may abort the cells behind it.
            request = Request(message, idents, stop_on_error=True)
            request.arrived = asyncio.get_running_loop().time()
            self._cells[message.msg_id] = self._requests[message.msg_id] = request
            self._outbox.running_cells.add(message.msg_id)
            self._stand_in.announce(request)

    def take_late_reply(self, message: Message) -> None:
        """Pass on the reply to a cell that has ended while there was no kernel."""
        session = message.parent_header.get("session")
        if self._is_expected and message.msg_type == "execute_reply" and isinstance(session, str):
            self._outbox.reply("shell", [session.encode()], message.parts)

    def take_question(self, message: Message) -> bool:
        """Take an `input_request` if an adopted cell asks; return whether one does."""
        request = self._cells.get(message.parent_id)
        if request is None:
            return False
        self._question = message
        # A console still waits for the cell.
        self._outbox.reply("stdin", request.idents, message.parts)
        others = (each for each in self._requests.cells() if each is not request)
        if (waiting := next(others, None)) is not None:
            self.take_cell(waiting)
        return True

    def take_cell(self, request: Request) -> None:
        """Look at a cell of the front ends. If it waits behind a question, its person can answer that."""
        question, self._question = self._question, None
        if question is None:
            return
        if request.message.content.get("allow_stdin") is True:
            self._asking = self._spawn(self._ask_again(question, request))
        else:
            self._stand_in.announce(request)
            self._outbox.say(request.message, "stream", {"name": "stderr", "text": f"{_INTERRUPTED}\n"})
            self._has_way.clear()
            self._spawn(self._interrupt_for(question))

    @property
    def has_way(self) -> bool:
        """Whether a new cell may start at once."""
        return self._has_way.is_set()

    async def make_way(self) -> None:
        """Wait for the end of a cell that is interrupted for its question: its end aborts cells behind it."""
        await self._has_way.wait()

    def take_reply(self) -> None:
        """Note that the client of an adopted cell has answered it."""
        self._question = None

    def end(self, msg_id: str) -> None:
        """Forget a cell that has ended, if it is an adopted one."""
        if self._cells.pop(msg_id, None) is None:
            return
        self._outbox.running_cells.remove(msg_id)
        self._has_way.set()
        if self._question is not None and self._question.parent_id == msg_id:
            self._question = None
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def fail_all(self, ename: str, reason: str) -> None:
        """Answer all adopted cells with an error, because their interpreter is gone."""
        for msg_id, request in list(self._cells.items()):
            self._requests.pop(msg_id, None)
            self._stand_in.fail(request, ename, reason)
            self.end(msg_id)

    async def _ask_again(self, question: Message, request: Request) -> None:
        try:
            content = question.content
        except ProtocolError:
            return
        asked = f"{_ASKED_AGAIN}{content.get('prompt', '')}"
        answer = await self._questions.ask(request, asked, password=content.get("password") is True)
        if answer is not None:
            await self._send(self._outbox.request("stdin", "input_reply", {"value": answer}))

    async def _interrupt_for(self, question: Message) -> None:
        if question.parent_id in self._cells:
            await self._interrupt()
        else:
            self._has_way.set()
