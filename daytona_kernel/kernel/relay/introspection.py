"""What a front end asks about code and about the interpreter, answered in time also while a cell runs.

Then it goes to a subshell of the kernel's own. What nobody waits for longer has a deadline, and after it the
answer is that nothing is known: C code that holds the interpreter's lock stops every thread there.

The first completion of a fresh interpreter has much to read; so one is done ahead, but only where a
person is: a program that executes notebooks has no use for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ...errors import InterpreterError
from .requests import Request, StandIn, nothing_known
from .subshells import Subshells

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ...wire.messages import Message
    from ..out.outbox import Outbox
    from .own_requests import OwnRequests

# Seconds until a question is answered without the interpreter; None waits for it. JupyterLab drops a
# completion after one second, a console asks no more whether lines are complete after it has waited for
# one, and a tooltip that appears seconds later is over other code.
DEADLINES = {
    "complete_request": 0.8,
    "inspect_request": 3.0,
    "is_complete_request": 0.8,
    "history_request": None,
    "comm_info_request": None,
}
# What a page or a console sends when it connects, and a program that executes notebooks does not.
_SIGNS_OF_A_PERSON = ("comm_info_request", "comm_open", "history_request", "inspect_request")


class Introspection:
    """See the module.

    subshells: those of the front ends. spawn: runs a coroutine on the relay's loop.
    """

    def __init__(
        self,
        outbox: Outbox,
        own_requests: OwnRequests,
        stand_in: StandIn,
        subshells: Subshells,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._outbox = outbox
        self._own_requests = own_requests
        self._stand_in = stand_in
        self._spawn = spawn
        self._subshells = subshells
        self._own_subshell = Subshells(own_requests.ask)
        self._own_subshell_id = self._own_subshell.create()
        self._person = False
        self._ready = False
        self._warm = False

    async def answer(self, request: Request, *, beside: bool) -> None:
        """Answer a question of a front end. beside: whether the main shell runs a cell."""
        self._stand_in.announce(request)
        message = request.message
        try:
            # Not wait_for: its task costs two turns of the loop.
            async with asyncio.timeout(DEADLINES[message.msg_type]):
                content = await self._ask(message, beside=beside and request.subshell_id is None)
        except (TimeoutError, InterpreterError):
            content = nothing_known(message)
        self._stand_in.reply(request, content)

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
        self._own_subshell.forget_interpreter()

    async def _ask(self, message: Message, *, beside: bool) -> dict[str, Any]:
        if beside:
            message = await self._own_subshell.address(message, self._own_subshell_id)
        else:
            message = await self._subshells.address(message)
        return await self._own_requests.ask_as(message)

    def _warm_up(self) -> None:
        if self._person and self._ready and not self._warm:
            self._warm = True
            self._spawn(self._complete_something())

    async def _complete_something(self) -> None:
        request = self._outbox.request("shell", "complete_request", {"code": "impor", "cursor_pos": 5})
        try:
            await self._ask(request, beside=True)
        except InterpreterError:
            pass  # the next one is warmed when it is there
