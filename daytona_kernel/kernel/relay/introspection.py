"""Introspection requests, which ask about code and the interpreter's state.

While a cell runs, they go to a subshell that belongs to the kernel. Requests whose caller gives up after
some time have a deadline. After it, the kernel sends an empty reply: C code that holds the interpreter lock
stops every thread of the interpreter. The kernel itself then decides whether code is complete.

The first completion in a new interpreter is slow, because it reads many files. So the kernel asks for some
ahead in quiet moments, when no cell needs the processor. It does so only for a person: a program that
executes notebooks does not need completions.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ...errors import InterpreterError
from .requests import MAIN_QUEUE, Request, StandIn, empty_reply
from .subshells import Subshells

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ...wire.messages import Message
    from ..out.outbox import Outbox
    from .own_requests import OwnRequests

# Seconds until the empty reply; None waits for the interpreter. JupyterLab drops a completion after one
# second. A console mistakes a later `is_complete_reply` for the answer to its next cell, and the kernel can
# answer this request itself. A tooltip that appears later than this is over other code.
DEADLINES = {
    "complete_request": 0.8,
    "inspect_request": 3.0,
    "is_complete_request": 0.4,
    "history_request": None,
    "comm_info_request": None,
}
# Seconds that a request waits for an interpreter that starts. Test suites of kernels wait for 15 s. A console
# waits one second for its history, and warns about a later answer in its first cell.
START_SECONDS = {"complete_request": 12.0, "history_request": 0.4}
# Code as people type it first: the modules' list, and the stubs of built-in types and of the common modules.
_TYPED_FIRST = ("impor", "import os\nos.path.joi", "''.uppe", "import collections\ncollections.OrderedDic")
# Seconds without a message and without a running cell: a quiet moment.
_QUIET_SECONDS = 1.0
# A page or a console sends one of these when it connects. A program that executes notebooks does not.
_SIGNS_OF_A_PERSON = ("comm_info_request", "comm_open", "history_request", "inspect_request")


class Introspection:
    """Answers introspection requests. It belongs to the relay's loop.

    subshells: the front ends' subshells. cell_runs: returns whether a cell runs or waits.
    spawn: runs a coroutine as a task of the relay.
    clean: takes active content out of a reply's content; None leaves it as it is.
    """

    def __init__(
        self,
        outbox: Outbox,
        own_requests: OwnRequests,
        stand_in: StandIn,
        subshells: Subshells,
        cell_runs: Callable[[], bool],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        clean: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self._clean = clean
        self._outbox = outbox
        self._own_requests = own_requests
        self._stand_in = stand_in
        self._cell_runs = cell_runs
        self._spawn = spawn
        self._subshells = subshells
        self._own_subshell = Subshells(own_requests.ask)
        self._own_subshell_id = self._own_subshell.create()
        # The front ends' requests for completions that have no answer yet, by message id.
        self.completing: dict[str, Message] = {}
        self._has_person = False
        self._has_interpreter = asyncio.Event()
        self._warming: asyncio.Task[None] | None = None  # also when it has ended
        self._messages = 0  # that front ends have sent

    async def answer(self, request: Request) -> None:
        """Answer a request."""
        cell_runs = self._cell_runs()
        self._stand_in.announce(request)
        message = request.message
        if not self._has_interpreter.is_set() and not await self._is_worth_waiting(message):
            self._stand_in.reply(request, empty_reply(message))
            return
        if message.msg_type == "complete_request":
            self.completing[message.msg_id] = message
        try:
            # Not wait_for: its task costs two turns of the loop.
            async with asyncio.timeout(DEADLINES[message.msg_type]):
                # The control channel and other subshells are free while the main shell runs a cell.
                content = await self._ask(message, on_own=cell_runs and request.queue == MAIN_QUEUE)
        except (TimeoutError, InterpreterError):
            content = empty_reply(message)
        finally:
            self.completing.pop(message.msg_id, None)
        self._stand_in.reply(request, content if self._clean is None else self._clean(content))

    def observe(self, msg_type: str) -> None:
        """Look at the type of a front end's message for a sign of a person."""
        self._messages += 1
        if msg_type in _SIGNS_OF_A_PERSON:
            self._has_person = True
            self._warm_up()

    def use_interpreter(self) -> None:
        """Use a new interpreter, which can answer now."""
        self._has_interpreter.set()
        self._warm_up()

    def forget_interpreter(self) -> None:
        """Forget the interpreter, because it is gone."""
        self._has_interpreter.clear()
        if self._warming is not None:
            self._warming.cancel()
            self._warming = None
        self._own_subshell.forget_interpreter()

    async def _is_worth_waiting(self, message: Message) -> bool:
        """Return whether the interpreter can be asked although it has not started yet.

        A program may ask for a completion as soon as the kernel answers, and an ipykernel that answers has
        started. So a completion waits until the interpreter has started, too, and a history for a moment.
        """
        if message.msg_type in START_SECONDS:
            try:
                async with asyncio.timeout(START_SECONDS[message.msg_type]):
                    await self._has_interpreter.wait()
            except TimeoutError:
                return False
        return message.msg_type != "is_complete_request"

    async def _ask(self, message: Message, *, on_own: bool) -> dict[str, Any]:
        """Return the interpreter's reply. on_own: whether to use the kernel's subshell."""
        if on_own:
            message = await self._own_subshell.address(message, self._own_subshell_id)
        else:
            message = await self._subshells.address(message)
        return await self._own_requests.send(message)

    def _warm_up(self) -> None:
        if self._has_person and self._has_interpreter.is_set() and self._warming is None:
            self._warming = self._spawn(self._complete_something())

    async def _complete_something(self) -> None:
        for code in _TYPED_FIRST:
            await self._wait_for_quiet()
            content = {"code": code, "cursor_pos": len(code)}
            try:
                await self._ask(self._outbox.request("shell", "complete_request", content), on_own=True)
            except InterpreterError:
                return  # the next interpreter is warmed up again

    async def _wait_for_quiet(self) -> None:
        messages = -1
        while messages != self._messages or self._cell_runs():
            messages = self._messages
            await asyncio.sleep(_QUIET_SECONDS)
