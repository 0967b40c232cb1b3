"""The relay: messages of front ends to the interpreter and back, as bytes, with as little touch as can be.

It lives on the event loop of the shell channel's thread, where requests arrive, so that a cell
holds nothing while it runs. A request goes out under the front end's own header; what comes back
names that request already and is only signed again. Status, `execute_input` and reply are the
interpreter's. The relay speaks for itself in three cases: a request that came before there is an
interpreter waits (or, when it asks for what nobody knows yet, is answered at once), a request
whose interpreter died is answered with an error, and a request for a comm of the kernel's own is
handed to it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import (
    CellUnstartedError,
    DaytonaError,
    InterpreterDiedError,
    InterpreterError,
    InterpreterLostError,
    InterpreterReplacedError,
)
from ..magic_cell import parse_magic_cell
from . import introspection
from .interrupt_notice import Patience
from .introspection import Introspection
from .own_requests import OwnRequests
from .requests import Request, StandIn
from .subshells import Subshells
from .waiting_notice import Progress
from .widget_states import WidgetStates

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ...client.process import AsyncProcess
    from ...interpreter.interpreter import Interpreter
    from ...wire.messages import Message
    from ..out.outbox import Outbox
    from .owner import Owner


T = TypeVar("T")

# A cell that is a magic of the kernel waits so long for the interpreter that it belongs to.
_MAGIC_PATIENCE_SECONDS = 3.0

_UNSTARTED = "The cell was still waiting for Python in its sandbox, and nothing of it has run. Run it again."


class Relay:
    """See the module. All methods run on the relay's own loop."""

    def __init__(self, outbox: Outbox, owner: Owner) -> None:
        self._outbox = outbox
        self._owner = owner
        self._requests: dict[str, Request] = {}
        # The way back to each client, by the message session of its cells.
        self._clients: dict[str, list[bytes]] = {}
        self._interpreter: asyncio.Future[Interpreter] = asyncio.get_running_loop().create_future()
        self._process: AsyncProcess | None = None
        self._attending: asyncio.Task[None] | None = None
        self._moves: dict[str, Callable[[], Awaitable[None]]] = {}
        self._starting = True
        self._own_requests = OwnRequests(outbox, self._send_to_interpreter)
        self.subshells = Subshells(self._own_requests.ask)
        self._stand_in = StandIn(outbox, owner.owned_comms)
        self._introspection = Introspection(
            outbox, self._own_requests, self._stand_in, self.subshells, self._spawn
        )
        self._progress = Progress(outbox, self._first_waiting)
        self._patience = Patience(outbox, lambda request: request.message.msg_id in self._requests)
        self._widget_states = WidgetStates()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> Message | None:
        """The request of the cell that runs now; None when none does. May be read from other threads."""
        return next((r.message for r in list(self._requests.values()) if r.is_execution), None)

    # What the kernel says

    def connect(self, process: AsyncProcess, make: Callable[..., Interpreter]) -> None:
        """Use a new interpreter. make: builds it, given the relay's callbacks."""
        interpreter = make(
            on_message=self.publish,
            on_ready=self._ready,
            on_ended=self._ended,
        )
        self._process = process
        self._starting = False
        if self._interpreter.done():
            self._interpreter = asyncio.get_running_loop().create_future()
        self._interpreter.set_result(interpreter)
        self._attending = self._spawn(self._attend(interpreter))

    async def let_go(self, msg_id: str, finish: Callable[[], Awaitable[None]]) -> bool:
        """Do without the interpreter from now on, because the cell of this request says so.

        finish: what that cell still waits for. Cells behind it run in the next interpreter.

        Returns whether there was an interpreter; otherwise nobody awaits `finish`. Raises DaytonaError when
        the cell is over: it was interrupted twice, and did not wait.
        """
        self._starting = False
        if not self._has_interpreter:
            return False
        if msg_id not in self._requests:
            raise DaytonaError("The cell that was to move the kernel was interrupted; the kernel stays.")
        self._moves[msg_id] = finish
        interpreter = self._interpreter.result()
        self._interpreter = asyncio.get_running_loop().create_future()
        if self._attending is not None:
            self._attending.cancel()
        self._ended("The kernel has left the interpreter.")
        interpreter.replace()
        return True

    async def start_next(self, msg_id: str, *, at_once: bool) -> None:
        """Start the next interpreter at once, or if cells other than the one of this request wait."""
        waiting = any(r.is_execution for each, r in self._requests.items() if each != msg_id)
        if (at_once or waiting) and not self._has_interpreter:
            self._want_interpreter()

    def fail_start(self, error: DaytonaError) -> None:
        """No interpreter could be had: those who wait are told, the next request tries again."""
        self._starting = False
        waiting, self._interpreter = self._interpreter, asyncio.get_running_loop().create_future()
        if not waiting.done():
            waiting.set_exception(error)
            waiting.exception()  # there may be nobody who waits

    def tell_progress(self, text: str) -> None:
        """Say in the cell that waits what it waits for."""
        self._progress.tell(text)

    async def interrupt(self) -> None:
        """Stop what runs: the interpreter's cell, or the cells that still wait for one."""
        if self._has_interpreter:
            self._patience.interrupt(self._running_on_main_shell)
            await self._interpreter.result().interrupt()
            return
        for request in list(self._requests.values()):
            request.interrupted.set()

    async def forward_control(self, message: Message, idents: list[bytes]) -> None:
        """Pass on a control request that is the interpreter's to answer."""
        request = Request(message, idents)
        if message.msg_type == "usage_request" and not self._has_interpreter:
            # It is asked every few seconds, which must not begin a sandbox each time.
            self._stand_in.fail(request, InterpreterError.__name__, "There is no interpreter to measure yet.")
        else:
            await self._forward(request)

    async def answer_magic(self, call_id: str, event: dict[str, Any]) -> None:
        """Pass on a piece of a magic's answer."""
        if self._has_interpreter:
            await self._interpreter.result().tell("magic_event", id=call_id, event=event)

    async def close(self) -> None:
        """Let go of the interpreter; no request is answered any more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # What front ends say

    async def take(self, message: Message, idents: list[bytes]) -> None:
        """Take a verified shell request."""
        request = Request(message, idents)
        self._introspection.heard(message.msg_type)
        if request.subshell_id is not None and request.subshell_id not in self.subshells.ids:
            self._stand_in.fail(
                request, "UnknownSubshellError", f"Unknown subshell_id {request.subshell_id!r}"
            )
        elif request.is_execution:
            content = message.content
            if not isinstance(content.get("code"), str):
                self._stand_in.fail(request, "ValueError", "This execute_request has no code.")
                return
            request.stop_on_error = bool(content.get("stop_on_error", True)) and not content.get("silent")
            self._requests[message.msg_id] = request
            self._clients[str(message.header.get("session"))] = idents
            self._spawn(self._execute(request, content["code"]))
        elif message.msg_type in introspection.DEADLINES and self._has_interpreter:
            self._spawn(self._introspection.answer(request, beside=self.running is not None))
        elif self._has_interpreter or not self._stand_in.answer(request):
            if message.msg_type in ("comm_open", "comm_msg", "comm_close"):
                self._widget_states.take(message)
            await self._forward(request)

    def take_input(self, message: Message) -> None:
        """Pass on an `input_reply`."""
        if self._has_interpreter:
            self._spawn(self._interpreter.result().send(message))

    # What the interpreter says

    def publish(self, message: Message) -> None:
        """Pass a message of the interpreter on to where it belongs."""
        if message.msg_type == "daytona_magic":
            # Before all else, since a question of the kernel's own may be what calls it: a completion does.
            self._owner.magic_called(message)
        elif self._own_requests.take(message):
            pass
        elif message.channel == "iopub":
            if message.msg_type == "status" and not message.parent_id:
                pass  # an interpreter's "starting" is no news of the kernel
            elif message.msg_type != "iopub_welcome":
                self._outbox.publish(self._widget_states.join(message).parts, message.msg_type)
        elif message.channel == "agent":
            if message.msg_type == "magic_closed":
                self._owner.magic_closed(message.content["id"])
            elif message.msg_type == "interrupted":
                self._patience.signal_sent()
            elif message.msg_type == "usage":
                content = message.content
                if (asked := self._requests.pop(content["msg_id"], None)) is not None:
                    self._stand_in.reply(asked, content["reply"])
        elif message.channel == "stdin":
            # A thread may ask after its cell has ended, so it is the client that is remembered.
            idents = self._clients.get(message.parent_header.get("session", ""))
            if idents is not None:
                self._outbox.reply("stdin", idents, message.parts)
        else:
            request = self._requests.pop(message.parent_id, None)
            if request is None:
                return
            self._outbox.reply(request.channel, request.idents, message.parts)

    def _publish_after_announcement(self, message: Message) -> None:
        """Publish, but for the `busy` that the relay has said already."""
        if message.msg_type != "status" or message.content.get("execution_state") != "busy":
            self.publish(message)

    # Execution

    async def _execute(self, request: Request, code: str) -> None:
        try:
            magic = parse_magic_cell(code, self._owner.magic_names)
            try:
                patience = None if magic is None else _MAGIC_PATIENCE_SECONDS
                # Not wait_for: its task takes turns more, in which the cells behind would overtake.
                async with asyncio.timeout(patience):
                    interpreter = await self._await_interpreter(request)
            except (TimeoutError, InterpreterError) as error:
                # The sandbox may well be usable, though it has no interpreter, or none yet.
                await self._until_interrupted(request, self._owner.run_without(request.message, magic, error))
                self._stand_in.succeed(request)
                return
            assert self._process is not None
            self._progress.clear(request)
            message = await self.subshells.address(request.message)
            on_message = self._publish_after_announcement if request.announced else self.publish
            await self._process.code_run(
                code, interpreter=interpreter, on_message=on_message, request=message
            )
        except InterpreterReplacedError:
            await self._go_on(request, code)
        except (_WaitInterruptedError, CellUnstartedError):
            self._fail(request, "KeyboardInterrupt", _UNSTARTED)
        except DaytonaError as error:
            self._fail(request, type(error).__name__, str(error))
        finally:
            self._requests.pop(request.message.msg_id, None)

    async def _go_on(self, request: Request, code: str) -> None:
        """What becomes of a cell whose interpreter the kernel has left."""
        finish = self._moves.pop(request.message.msg_id, None)
        if finish is None:
            await self._execute(request, code)
            return
        request.announced = True  # the interpreter has said so
        try:
            await finish()
            self._stand_in.succeed(request)
        except DaytonaError as error:
            self._fail(request, type(error).__name__, str(error))

    async def _await_interpreter(self, request: Request) -> Interpreter:
        if self._has_interpreter:
            return self._interpreter.result()
        self._want_interpreter()
        self._stand_in.announce(request)
        self._progress.look()
        return await self._until_interrupted(request, asyncio.shield(self._interpreter))

    async def _until_interrupted(self, request: Request, awaited: Awaitable[T]) -> T:
        """Await something that the kernel does for a cell, unless the reader stops the cell first."""
        work = asyncio.ensure_future(awaited)
        interrupted: asyncio.Future[Any] = asyncio.ensure_future(request.interrupted.wait())
        waited: list[asyncio.Future[Any]] = [work, interrupted]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise _WaitInterruptedError
            return work.result()
        finally:
            interrupted.cancel()
            work.cancel()

    def _fail(self, request: Request, ename: str, evalue: str) -> None:
        if request.aborted:
            self._stand_in.abort(request)
            return
        self._progress.clear(request)
        self._stand_in.fail(request, ename, evalue)
        if request.stop_on_error:
            for other in self._requests.values():
                other.aborted = other.is_execution and other is not request

    # Everything else

    async def _forward(self, request: Request) -> None:
        msg_id = request.message.msg_id
        try:
            await self._await_interpreter(request)
            message = await self.subshells.address(request.message)
            if message.msg_type.endswith("_request"):
                self._requests[msg_id] = request
            await self._send_to_interpreter(message)
        except _WaitInterruptedError:
            self._stand_in.fail(request, "KeyboardInterrupt", "The kernel was still waiting for its sandbox.")
        except DaytonaError as error:
            self._requests.pop(msg_id, None)
            self._stand_in.fail(request, type(error).__name__, str(error))

    async def _send_to_interpreter(self, message: Message) -> None:
        if not self._has_interpreter:
            raise InterpreterLostError("The interpreter has just been given up.")
        await self._interpreter.result().send(message)

    # The interpreter's life

    async def _attend(self, interpreter: Interpreter) -> None:
        try:
            await interpreter.run()
        except InterpreterLostError as error:
            self._ended(str(error))
            self._interpreter = asyncio.get_running_loop().create_future()
            self._starting = False
            self._want_interpreter()

    def _ready(self, kernel_info: dict[str, Any]) -> None:
        self._owner.interpreter_ready(kernel_info)
        self._introspection.interpreter_ready()

    def _ended(self, reason: str) -> None:
        self._lose_requests(reason)
        for each in (self._own_requests, self.subshells, self._introspection):
            each.forget_interpreter()
        self._owner.interpreter_ended()

    def _lose_requests(self, reason: str) -> None:
        """Answer what the dead interpreter had; executions are answered where they wait."""
        for msg_id, request in list(self._requests.items()):
            if not request.is_execution:
                del self._requests[msg_id]
                self._stand_in.fail(request, InterpreterDiedError.__name__, reason)

    @property
    def _has_interpreter(self) -> bool:
        return self._interpreter.done() and self._interpreter.exception() is None

    def _want_interpreter(self) -> None:
        if not self._starting:
            self._starting = True
            self._owner.interpreter_wanted()

    @property
    def _running_on_main_shell(self) -> Request | None:
        """What an interrupt is for: it does not reach subshells."""
        executions = (r for r in self._requests.values() if r.is_execution and r.subshell_id is None)
        return next(executions, None)

    def _first_waiting(self) -> Request | None:
        if self._has_interpreter:
            return None
        return next((r for r in self._requests.values() if r.is_execution), None)

    def _spawn(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _WaitInterruptedError(Exception):
    pass
