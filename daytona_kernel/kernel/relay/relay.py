"""The relay passes messages between front ends and the interpreter as raw bytes, and parses little of them.

It runs on the shell channel's event loop, where requests arrive, so a running cell delays nothing. A
request leaves under the front end's own header. Each answer names that request already, so the relay only
signs it again. Status, `execute_input` and reply are the interpreter's own.

The kernel answers a request itself in three cases: there is no interpreter and the request should not wait
for one; the interpreter ended before it replied; the cell is a magic that does not need an interpreter.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, assert_never

from ...errors import (
    DaytonaError,
    InterpreterDiedError,
    InterpreterError,
    InterpreterLostError,
)
from ...wire.agent_messages import Interrupted, MagicClosed, Running, UsageReport
from ...wire.magic_messages import MSG_TYPE
from . import introspection
from .adopted_cells import AdoptedCells
from .cells import Cells
from .deliveries import Deliveries
from .gate import admit, reaching_magics
from .introspection import Introspection
from .notices import InterruptNotice, News, OutageNotice, WaitingNotice
from .own_requests import OwnRequests
from .questions import Questions
from .request_table import RequestTable
from .requests import Request, StandIn, WaitInterruptedError
from .safe_outputs import SafeOutputs, is_wanted
from .slot import InterpreterSlot
from .subshells import Subshells

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ...interpreter.interpreter import AgentEvent
    from ...wire.magic_messages import MagicAnswer
    from ...wire.messages import Message
    from ..host.host import Host
    from ..out.outbox import Outbox

# Requests that the interpreter answers on the control channel only.
_CONTROL = ("debug_request", "usage_request")
_UNSENT = "Python was restarting when this was sent. Run it again."
# Seconds for the end of the interpreter with the kernel, which Jupyter gives 2.5 s. In a sandbox that stays,
# the agent gives it longer.
_ENDING_SECONDS = 1.5

_log = logging.getLogger(__name__)


class Relay:
    """The routing of messages.

    All methods run on the relay's loop, except for those that say that any thread may call them.
    """

    def __init__(self, outbox: Outbox, host: Host) -> None:
        self._outbox = outbox
        self._host = host
        self.requests = RequestTable()
        self._outage_notice = OutageNotice(outbox, lambda: self.requests.first_of_main_shell)
        self.slot = InterpreterSlot(
            host.start_interpreter,
            on_message=self.publish,
            on_event=self._take_event,
            on_ready=self._use_interpreter,
            on_ended=self._report_end,
            on_outage=self._outage_notice.update,
            on_left=self._forget_interpreter,
            server_end=host.kernel_sandbox.place.server_end,
        )
        # The kernel_info of the latest interpreter; empty before there is one.
        self.kernel_info: dict[str, Any] = {}
        self._own_requests = OwnRequests(outbox, self._send_to_interpreter, self._post_to_interpreter)
        self.subshells = Subshells(self._own_requests.ask)
        self._stand_in = StandIn(outbox, host.owned_comms)
        self._reaching = reaching_magics(magic.name for magic in host.registry if magic.reaches_further)
        # None if the person has not asked for safe outputs.
        self._safe = SafeOutputs(lambda comm_id: comm_id in host.owned_comms(None)) if is_wanted() else None
        self._introspection = Introspection(
            outbox,
            self._own_requests,
            self._stand_in,
            self.subshells,
            lambda: self.requests.first_cell is not None,
            self._spawn,
            None if self._safe is None else self._safe.clean_reply,
        )
        self._questions = Questions(outbox)
        self.adopted_cells = AdoptedCells(
            outbox,
            self._stand_in,
            self._questions,
            self.requests,
            send=self._send_to_interpreter,
            interrupt=self.interrupt,
            spawn=self._spawn,
        )
        self._deliveries = Deliveries(
            outbox,
            self.requests,
            self._stand_in,
            self._questions,
            self.adopted_cells,
            host.repeat_missed_updates,
        )
        self._waiting_notice = WaitingNotice(outbox, self._first_waiting)
        self.news = News(outbox, self._stand_in)
        self.cells = Cells(
            host,
            self.slot,
            outbox,
            self._stand_in,
            self.subshells,
            self._waiting_notice,
            self.news,
            self._deliveries.failures,
            self._own_requests,
            self.requests,
            self.publish,
            self._questions.withdraw,
            self._questions.ask,
        )
        self._interrupt_notice = InterruptNotice(outbox, lambda r: r.message.msg_id in self.requests)
        self._tasks: set[asyncio.Task[None]] = set()

    def completing(self, msg_id: str) -> Message | None:
        """Return a front end's request for a completion that has no answer yet. Any thread may call this."""
        return self._introspection.completing.get(msg_id)

    # For the host and the control channel

    async def ask(self, msg_id: str, prompt: str, *, password: bool = False) -> str | None:
        """Ask the front end of a running cell; see Questions."""
        request = self.requests.get(msg_id)
        return None if request is None else await self._questions.ask(request, prompt, password=password)

    def show_progress(self, text: str, place: str) -> None:
        """Show in the first waiting cell what it waits for, and where cells run."""
        self._waiting_notice.update(text, place)

    async def interrupt(self) -> None:
        """Interrupt the cell in the interpreter, and those that wait or that the kernel runs alone."""
        self._questions.withdraw_all()
        interpreter = self.slot.interpreter
        outside = [
            each for each in self.requests.values() if interpreter is None or each.is_held or each.alone
        ]
        for request in outside:
            request.interrupted.set()
        if interpreter is None or (outside and all(cell in outside for cell in self.requests.cells())):
            return  # the interpreter runs none
        self._interrupt_notice.watch(self.requests.first_of_main_shell)
        await interpreter.interrupt()

    async def take_control(self, message: Message, idents: list[bytes]) -> None:
        """Take a verified control request that the kernel does not answer itself."""
        request = Request(message, idents)
        if message.msg_type == "usage_request" and self.slot.interpreter is None:
            # Front ends ask every few seconds. That must not start a sandbox.
            self._stand_in.fail(request, InterpreterError.__name__, "There is no interpreter to measure yet.")
        elif message.msg_type in _CONTROL:
            await self._forward(request)
        else:
            await self._take(request)

    async def answer_magic(self, answer: MagicAnswer) -> None:
        """Pass an answer to a magic call on to the interpreter."""
        if self.slot.interpreter is not None:
            await self.slot.interpreter.tell(answer)

    async def close(self, *, lives_on: bool = False) -> bool:
        """End the interpreter in good order, and answer no more requests.

        lives_on: whether the next kernel goes on with the interpreter, so that it must not end.

        Returns whether it has ended; otherwise its agent will end it soon.
        """
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if lives_on:
            self.slot.detach()
        else:
            self.slot.close(_ENDING_SECONDS)
        await asyncio.gather(*tasks, return_exceptions=True)
        return await self.slot.ended()

    # From front ends

    async def take(self, message: Message, idents: list[bytes]) -> None:
        """Take a verified message on the shell channel."""
        await self._take(Request(message, idents))

    async def _take(self, request: Request) -> None:
        message = request.message
        self._introspection.observe(message.msg_type)
        if request.subshell_id is not None and request.subshell_id not in self.subshells.ids:
            self._stand_in.fail(
                request, "UnknownSubshellError", f"Unknown subshell_id {request.subshell_id!r}"
            )
        elif request.is_execution:
            self._take_cell(request)
        elif message.msg_type.endswith("_request") and message.msg_type not in introspection.DEADLINES:
            reason = f"This kernel has no {message.msg_type} on the {request.channel} channel."
            self._stand_in.fail(request, "UnknownRequestError", reason)
        elif self._can_introspect(message.msg_type):
            self._spawn(self._introspection.answer(request))
        elif self.slot.interpreter is not None or not self._stand_in.answer(request):
            if message.msg_type in ("comm_open", "comm_msg", "comm_close"):
                self._deliveries.widget_states.observe(message)
            await self._forward(request)

    def _can_introspect(self, msg_type: str) -> bool:
        """Return whether the interpreter answers an introspection request, now or when it has started."""
        waits = msg_type in introspection.START_SECONDS and self.slot.is_starting
        return msg_type in introspection.DEADLINES and (waits or self.slot.interpreter is not None)

    def take_input(self, message: Message, idents: list[bytes]) -> None:
        """Take an `input_reply`: for a question of the kernel, or for the interpreter."""
        if self._questions.take_reply(message, idents):
            return
        self.adopted_cells.take_reply()
        if self.slot.interpreter is not None:
            self._spawn(self.slot.interpreter.send(message))

    def _take_cell(self, request: Request) -> None:
        message = request.message
        content = message.content
        if not isinstance(content.get("code"), str):
            self._stand_in.fail(request, "ValueError", "This execute_request has no code.")
            return
        stops = bool(content.get("stop_on_error", True)) and not content.get("silent")
        # A cell on the control channel has no queue behind it.
        request.stop_on_error = stops and request.channel == "shell"
        self._deliveries.failures.observe(request)
        self.requests[message.msg_id] = request
        self._deliveries.remember_client(request)
        self.adopted_cells.take_cell(request)
        self._spawn(self._run_cell(request, content["code"]))

    async def _run_cell(self, request: Request, code: str) -> None:
        if not self.adopted_cells.has_way:
            await self.adopted_cells.make_way()
            self._deliveries.failures.observe(request)  # it is not behind the cell that made way
        await self.cells.run(request, code)

    # From the interpreter

    def publish(self, message: Message) -> None:
        """Pass a message of the interpreter on to where it belongs."""
        message = self.subshells.restore(message)
        if message.msg_type == MSG_TYPE:
            # This comes first, because an own request may cause a magic call: a completion does.
            self._host.take_magic_request(message)
        elif self._own_requests.take(message):
            pass
        elif (admitted := self._admit(message)) is not None:
            self._deliveries.pass_on(admitted)

    def _admit(self, message: Message) -> Message | None:
        """Return a message of the interpreter as front ends may have it, or None."""
        admitted = admit(message, self._reaching)
        return admitted if admitted is None or self._safe is None else self._safe.admit(admitted)

    def _take_event(self, event: AgentEvent) -> None:
        """Act on a message of the agent itself."""
        match event:
            case MagicClosed(call_id=call_id):
                self._host.cancel_magic(call_id)
            case Running(cells=cells):
                self.adopted_cells.adopt(cells)
            case Interrupted():
                self._interrupt_notice.mark_sent()
            case UsageReport(msg_id=msg_id, reply=reply):
                if (request := self.requests.pop(msg_id, None)) is not None:
                    self._stand_in.reply(request, reply)
            case unexpected:
                assert_never(unexpected)

    # Other requests

    def _first_waiting(self) -> Request | None:
        """Return the first cell that waits for an interpreter or for its packages, or None."""
        waiting = self.cells.preparation.request
        return waiting or (self.requests.first_cell if self.slot.interpreter is None else None)

    def resume_interpreter(self) -> None:
        """Use an interpreter that another kernel has used before; call this with it, or shortly before."""
        self._deliveries.failures.inherit()
        self.cells.given_variables.inherit()

    async def _forward(self, request: Request) -> None:
        msg_id = request.message.msg_id
        try:
            await self.cells.await_interpreter(request)
            message = await self.subshells.address(request.message)
            if message.msg_type.endswith("_request"):
                self.requests[msg_id] = request
            await self._send_to_interpreter(message)
        except WaitInterruptedError:
            self._stand_in.fail(request, "KeyboardInterrupt", "The kernel was still waiting for its sandbox.")
        except Exception as error:
            self.requests.pop(msg_id, None)
            self._stand_in.fail(request, type(error).__name__, str(error))
            if not isinstance(error, DaytonaError):
                raise

    def _post_to_interpreter(self, message: Message) -> None:
        if self.slot.interpreter is not None:
            self.slot.interpreter.post(message)

    async def _send_to_interpreter(self, message: Message) -> None:
        if self.slot.interpreter is None:
            raise InterpreterLostError(_UNSENT)
        await self.slot.interpreter.send(message)

    # The interpreter's start and end

    def _use_interpreter(self, kernel_info: dict[str, Any]) -> None:
        """Use an interpreter that has just started."""
        self.kernel_info = kernel_info
        self._introspection.use_interpreter()

    def _report_end(self, reason: str) -> None:
        """Forget an interpreter that ended. If no cell fails with the reason, the next one shows it.

        A cell that has arrived and is not in the interpreter yet does not fail: it runs in the next one.
        """
        if self.slot.interpreter is None or not self.slot.interpreter.is_running:
            self.news.add(reason)
        self._forget_interpreter(reason)

    def _forget_interpreter(self, reason: str = "The kernel has left the interpreter.") -> None:
        """Forget the state of an interpreter. Its cells learn of its end from `code_run`."""
        for msg_id, request in list(self.requests.items()):
            if not request.is_execution:
                del self.requests[msg_id]
                self._stand_in.fail(request, InterpreterDiedError.__name__, reason)
        self.adopted_cells.fail_all(InterpreterDiedError.__name__, reason)
        failures = self._deliveries.failures
        variables = self.cells.given_variables
        for each in (self._own_requests, self.subshells, self._introspection, failures, variables):
            each.forget_interpreter()
        self._outage_notice.update(None)
        self._questions.withdraw_all()
        self._host.cancel_magics()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine as a task until it ends or the relay is closed."""
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._finish)
        return task

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("A task of the relay failed", exc_info=error)
