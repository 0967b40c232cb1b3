"""Completion and inspection while a cell runs: on a subshell of the kernel's own.

The first completion of a fresh interpreter takes over a second, and JupyterLab waits for one only;
so one is done ahead, but only where a person is: a program that executes notebooks has no use for it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ..wire.messages import Message
from .outbox import Outbox
from .questions import Questions
from .subshells import Subshells

MESSAGES = ("complete_request", "inspect_request", "is_complete_request")
# What a page or a console sends when it connects, and a program that executes notebooks does not.
_SIGNS_OF_A_PERSON = ("comm_info_request", "comm_open", "history_request", "inspect_request")


class Services:
    """See the module. spawn: runs a coroutine on the relay's loop."""

    def __init__(
        self, outbox: Outbox, questions: Questions, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self._outbox = outbox
        self._questions = questions
        self._spawn = spawn
        self._subshells = Subshells(questions.ask)
        self._subshell_id = self._subshells.create()
        self._person = False
        self._ready = False
        self._warm = False

    async def address(self, message: Message) -> Message:
        """Return the request as the interpreter must see it to answer it beside a running cell."""
        return await self._subshells.address(message, self._subshell_id)

    def heard(self, msg_type: str) -> None:
        """A front end has sent a message of this type."""
        if msg_type in _SIGNS_OF_A_PERSON:
            self._person = True
            self._warm_up()

    def interpreter_ready(self) -> None:
        """A fresh interpreter answers."""
        self._ready = True
        self._warm_up()

    def forget_interpreter(self) -> None:
        """The interpreter is gone."""
        self._ready = self._warm = False
        self._subshells.forget_interpreter()

    def _warm_up(self) -> None:
        if self._person and self._ready and not self._warm:
            self._warm = True
            self._spawn(self._complete_something())

    async def _complete_something(self) -> None:
        request = self._outbox.request("shell", "complete_request", {"code": "impor", "cursor_pos": 5})
        await self._questions.ask_as(await self.address(request))
