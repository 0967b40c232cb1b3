"""The kernel's own questions to a person, beside those of `input()` in the sandbox.

Both use the stdin channel, and some front ends answer without saying which question they mean. So a client
has one open question at a time: the kernel's question waits until an open `input()` is answered or over,
and `input()` waits for the kernel's. An answer that names another question never counts for this one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...wire.schema import ProtocolError

if TYPE_CHECKING:
    from ...wire.messages import Message
    from ..out.outbox import Outbox
    from .requests import Request

# ipykernel asks one question at a time. Code that floods the channel gets no more than this.
_MOST_HELD = 16


@dataclass
class _Question:
    """A question of the kernel. sent: its message id; "" while it waits for its turn."""

    request: Request
    prompt: str
    password: bool
    answer: asyncio.Future[str | None]
    sent: str = ""


@dataclass
class _Client:
    """The questions to one client.

    open_input: the cell whose `input()` waits for this client's answer, by its message id; None for no cell.
    questions: the kernel's, the first of which is asked now or next. held: those of the sandbox that wait.
    """

    idents: list[bytes]
    open_input: str | None = None
    questions: deque[_Question] = field(default_factory=deque)
    held: deque[Message] = field(default_factory=deque)


class Questions:
    """The questions to all clients. They belong to the relay's loop."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._clients: dict[bytes, _Client] = {}

    async def ask(self, request: Request, prompt: str, *, password: bool = False) -> str | None:
        """Ask the client of a running cell; return None if the cell ends or is interrupted.

        password: whether the front end hides the answer.
        """
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        client = self._client(request.idents)
        question = _Question(request, prompt, password, answer)
        client.questions.append(question)
        self._continue(client)
        try:
            return await answer
        finally:
            if question in client.questions:
                client.questions.remove(question)
            self._continue(client)

    def pass_input_request(self, message: Message, idents: list[bytes]) -> None:
        """Pass on a question of the sandbox, now or after the kernel's."""
        client = self._client(idents)
        if len(client.held) < _MOST_HELD:
            client.held.append(message)
        self._continue(client)

    def take_reply(self, message: Message, idents: list[bytes]) -> bool:
        """Take an answer if it is for a question of the kernel; return whether it was."""
        client = self._client(idents)
        asked = client.questions[0] if client.questions else None
        try:
            parent = message.parent_id
            value = message.content.get("value")
        except ProtocolError:
            return False
        if asked is not None and asked.sent and parent in ("", asked.sent):
            if not asked.answer.done():
                asked.answer.set_result(value if isinstance(value, str) else "")
            return True
        client.open_input = None
        self._continue(client)
        return False

    def withdraw(self, request: Request) -> None:
        """End the questions of a cell that has ended, and those that its client no longer shows."""
        client = self._clients.get(b"".join(request.idents))
        if client is None:
            return
        for question in client.questions:
            if question.request is request:
                _withdraw(question)
        if request.subshell_id is None or client.open_input == request.message.msg_id:
            client.open_input = None
        self._continue(client)
        if not client.questions and client.open_input is None:
            del self._clients[b"".join(request.idents)]

    def withdraw_all(self) -> None:
        """End all questions, because the cells are interrupted or their interpreter is gone."""
        for client in self._clients.values():
            for question in client.questions:
                _withdraw(question)
            client.open_input = None
            client.held.clear()

    def _client(self, idents: list[bytes]) -> _Client:
        return self._clients.setdefault(b"".join(idents), _Client(idents))

    def _continue(self, client: _Client) -> None:
        """Ask the next question, if no other is open."""
        if client.questions:
            question = client.questions[0]
            if client.open_input is None and not question.sent and not question.answer.done():
                question.sent = self._outbox.ask(
                    question.request.message, client.idents, question.prompt, password=question.password
                )
            return
        while client.held:
            message = client.held.popleft()
            client.open_input = message.parent_id
            self._outbox.reply("stdin", client.idents, message.parts)


def _withdraw(question: _Question) -> None:
    if not question.answer.done():
        question.answer.set_result(None)
