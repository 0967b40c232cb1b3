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
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import DaytonaError, InterpreterDiedError, InterpreterLostError
from ..interpreter.interpreter import Interpreter
from ..wire.messages import Message, Part, encode_json
from .outbox import Outbox
from .questions import Questions
from .subshells import Subshells
from .widget_states import WidgetStates

if TYPE_CHECKING:
    from ..client.process import AsyncProcess

# What a cell that waits is told, and not sooner than this.
_PROGRESS_SECONDS = 1.0

# Answered while a cell runs, on a subshell of the kernel's own.
_SERVICES = ("complete_request", "inspect_request", "is_complete_request")
# What a page or a console sends when it connects, and a program that executes notebooks does not.
_SIGNS_OF_A_PERSON = ("comm_info_request", "comm_open", "history_request", "inspect_request")

_EMPTY_REPLIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
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


class Owner(Protocol):
    """What the relay asks of the kernel, each safe to call from the relay's loop."""

    def interpreter_wanted(self) -> None:
        """There is no interpreter, and somebody wants one."""

    def interpreter_ready(self, kernel_info: dict[str, Any]) -> None:
        """An interpreter answers; a fresh one whenever this is called again."""

    def interpreter_ended(self) -> None:
        """What the interpreter had is gone: its comms, its magics that wait."""

    def owned_comms(self, target_name: str | None) -> dict[str, dict[str, str]]:
        """The kernel's own comms, as a `comm_info_reply` lists them."""
        ...

    def magic_called(self, message: Message) -> None:
        """The interpreter asks for a magic of the kernel."""

    def magic_closed(self, call_id: str) -> None:
        """A magic in the interpreter has its answer, or no longer waits for it."""


@dataclass
class Request:
    """A request that has no reply yet. idents: the way back to who asked."""

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


class Relay:
    """See the module. All methods run on the relay's own loop."""

    def __init__(self, outbox: Outbox, owner: Owner) -> None:
        self._outbox = outbox
        self._owner = owner
        self._requests: dict[str, Request] = {}
        self._interpreter: asyncio.Future[Interpreter] = asyncio.get_running_loop().create_future()
        self._process: AsyncProcess | None = None
        self._starting = True
        self._questions = Questions(outbox, self._send_to_interpreter)
        self.subshells = Subshells(self._questions.ask)
        # A subshell of the kernel's own, for what must be answered while a cell runs.
        self._services = Subshells(self._questions.ask)
        self._service_id = self._services.create()
        self._person = False
        self._ready_for_services = False
        self._warm = False
        self._widget_states = WidgetStates()
        self._tasks: set[asyncio.Task[None]] = set()
        self._progress = ""
        self._progress_shown: set[str] = set()

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
        self._spawn(self._attend(interpreter))

    def fail_start(self, error: DaytonaError) -> None:
        """No interpreter could be had: those who wait are told, the next request tries again."""
        self._starting = False
        waiting, self._interpreter = self._interpreter, asyncio.get_running_loop().create_future()
        if not waiting.done():
            waiting.set_exception(error)
            waiting.exception()  # there may be nobody who waits

    def tell_progress(self, text: str) -> None:
        """Say in the cell that waits what it waits for."""
        self._progress = text
        if self._first_waiting() is not None:
            self._spawn(self._show_progress())

    async def interrupt(self) -> None:
        """Stop what runs: the interpreter's cell, or the cells that still wait for one."""
        if self._has_interpreter:
            await self._interpreter.result().interrupt()
            return
        for request in list(self._requests.values()):
            request.interrupted.set()

    async def forward_control(self, message: Message, idents: list[bytes]) -> None:
        """Pass on a control request that is the interpreter's to answer."""
        await self._forward(Request(message, idents))

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
        if message.msg_type in _SIGNS_OF_A_PERSON:
            self._person = True
            self._warm_services()
        if request.is_execution:
            content = message.content
            if self._refuse_unknown_subshell(request):
                return
            request.stop_on_error = bool(content.get("stop_on_error", True)) and not content.get("silent")
            self._requests[message.msg_id] = request
            self._spawn(self._execute(request, str(content.get("code", ""))))
        elif not self._has_interpreter and message.msg_type in _EMPTY_REPLIES:
            self._answer_without_interpreter(request)
        elif not self._has_interpreter and message.msg_type.startswith("comm_"):
            self._answer_comm_without_interpreter(request)
        elif not self._refuse_unknown_subshell(request):
            if message.msg_type.startswith("comm_") and message.msg_type != "comm_info_request":
                self._widget_states.take(message)
            await self._forward(request)

    def take_input(self, message: Message) -> None:
        """Pass on an `input_reply`."""
        if self._has_interpreter:
            self._spawn(self._interpreter.result().send(message))

    # What the interpreter says

    def publish(self, message: Message) -> None:
        """Pass a message of the interpreter on to where it belongs."""
        if self._questions.take(message):
            return
        if message.channel == "iopub":
            if message.msg_type == "daytona_magic":
                self._owner.magic_called(message)
            elif message.msg_type == "status" and not message.parent_id:
                pass  # an interpreter's "starting" is no news of the kernel
            elif message.msg_type != "iopub_welcome":
                self._outbox.publish(self._widget_states.join(message).parts, message.msg_type)
        elif message.channel == "agent":
            if message.msg_type == "magic_closed":
                self._owner.magic_closed(message.content["id"])
        elif message.channel == "stdin":
            request = self._requests.get(message.parent_id)
            if request is not None:
                self._outbox.reply("stdin", request.idents, message.parts)
        else:
            request = self._requests.pop(message.parent_id, None)
            if request is None:
                return
            parts = message.parts
            if message.msg_type == "comm_info_reply":
                parts = self._join_comms(request, message)
            self._outbox.reply(request.channel, request.idents, parts)

    def _publish_after_announcement(self, message: Message) -> None:
        """Publish, but for the `busy` that the relay has said already."""
        if message.msg_type != "status" or message.content.get("execution_state") != "busy":
            self.publish(message)

    # Execution

    async def _execute(self, request: Request, code: str) -> None:
        try:
            interpreter = await self._await_interpreter(request)
            assert self._process is not None
            self._clear_progress(request)
            message = await self.subshells.address(request.message)
            on_message = self._publish_after_announcement if request.announced else self.publish
            await self._process.code_run(
                code, interpreter=interpreter, on_message=on_message, request=message
            )
        except _WaitInterruptedError:
            self._fail(
                request, "KeyboardInterrupt", "The cell was still waiting for its sandbox. Run it again."
            )
        except DaytonaError as error:
            self._fail(request, type(error).__name__, str(error))
        finally:
            self._requests.pop(request.message.msg_id, None)

    async def _await_interpreter(self, request: Request) -> Interpreter:
        if self._has_interpreter:
            return self._interpreter.result()
        self._want_interpreter()
        self._announce(request)
        self._spawn(self._show_progress())
        interrupted: asyncio.Future[Any] = asyncio.ensure_future(request.interrupted.wait())
        waiting: asyncio.Future[Any] = self._interpreter
        try:
            await asyncio.wait([interrupted, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            interrupted.cancel()
        if not waiting.done():
            raise _WaitInterruptedError
        interpreter: Interpreter = waiting.result()
        return interpreter

    def _fail(self, request: Request, ename: str, evalue: str) -> None:
        """Answer an execution in the interpreter's place; those behind it are aborted, as ipykernel does."""
        if request.aborted:
            self._outbox.answer(request.message, request.idents, {"status": "aborted"})
            return
        content = {"ename": ename, "evalue": evalue, "traceback": [f"\x1b[0;31m{ename}\x1b[0m: {evalue}"]}
        self._announce(request)
        self._clear_progress(request)
        self._outbox.say(request.message, "error", content)
        self._outbox.answer(
            request.message,
            request.idents,
            {"status": "error", **content, "execution_count": None, "payload": []},
        )
        self._outbox.say(request.message, "status", {"execution_state": "idle"})
        if request.stop_on_error:
            for other in self._requests.values():
                other.aborted = other.is_execution and other is not request

    # Everything else

    async def _forward(self, request: Request) -> None:
        if not self._has_interpreter:
            self._want_interpreter()
            try:
                await self._await_interpreter(request)
            except (DaytonaError, _WaitInterruptedError) as error:
                self._outbox.answer(
                    request.message,
                    request.idents,
                    {"status": "error", "ename": type(error).__name__, "evalue": str(error)},
                )
                return
        if request.message.msg_type.endswith("_request"):
            self._requests[request.message.msg_id] = request
        message = request.message
        if message.msg_type in _SERVICES and self.running is not None and "subshell_id" not in message.header:
            message = await self._services.address(message, self._service_id)
        else:
            message = await self.subshells.address(message)
        await self._send_to_interpreter(message)

    async def _send_to_interpreter(self, message: Message) -> None:
        await self._interpreter.result().send(message)

    def _warm_services(self) -> None:
        """Let the interpreter complete something once: its first completion takes over a second, and
        JupyterLab waits for one only. Nothing of it is done where no person is."""
        if self._person and self._ready_for_services and not self._warm:
            self._warm = True
            self._spawn(self._complete_something())

    async def _complete_something(self) -> None:
        request = self._outbox.request("shell", "complete_request", {"code": "impor", "cursor_pos": 5})
        await self._questions.ask_as(await self._services.address(request, self._service_id))

    def _refuse_unknown_subshell(self, request: Request) -> bool:
        subshell_id = request.message.header.get("subshell_id")
        if subshell_id is None or subshell_id in self.subshells.ids:
            return False
        evalue = f"Unknown subshell_id {subshell_id!r}"
        error = {"status": "error", "ename": "UnknownSubshellError", "evalue": evalue, "traceback": []}
        self._requests.pop(request.message.msg_id, None)
        self._outbox.say(request.message, "status", {"execution_state": "busy"})
        if request.message.msg_type.endswith("_request"):
            self._outbox.answer(request.message, request.idents, error)
        self._outbox.say(request.message, "status", {"execution_state": "idle"})
        return True

    def _answer_without_interpreter(self, request: Request) -> None:
        content = _EMPTY_REPLIES[request.message.msg_type](request.message.content)
        if request.message.msg_type == "comm_info_request":
            content["comms"] = self._owner.owned_comms(request.message.content.get("target_name"))
        self._outbox.say(request.message, "status", {"execution_state": "busy"})
        self._outbox.answer(request.message, request.idents, content)
        self._outbox.say(request.message, "status", {"execution_state": "idle"})

    def _answer_comm_without_interpreter(self, request: Request) -> None:
        self._outbox.say(request.message, "status", {"execution_state": "busy"})
        if request.message.msg_type == "comm_open":
            self._outbox.say(
                request.message, "comm_close", {"comm_id": request.message.content["comm_id"], "data": {}}
            )
        self._outbox.say(request.message, "status", {"execution_state": "idle"})

    def _join_comms(self, request: Request, reply: Message) -> list[Part]:
        content = reply.content
        own = self._owner.owned_comms(request.message.content.get("target_name"))
        content["comms"] = {**content.get("comms", {}), **own}
        return [*reply.parts[:3], encode_json(content), *reply.parts[4:]]

    # The interpreter's life

    async def _attend(self, interpreter: Interpreter) -> None:
        try:
            await interpreter.run()
        except InterpreterLostError as error:
            self._lose_requests(str(error))
            self._forget_interpreter()
            self._interpreter = asyncio.get_running_loop().create_future()
            self._starting = False
            self._owner.interpreter_ended()
            self._want_interpreter()

    def _ready(self, kernel_info: dict[str, Any]) -> None:
        self._owner.interpreter_ready(kernel_info)
        self._ready_for_services = True
        self._warm_services()

    def _ended(self, reason: str) -> None:
        self._lose_requests(reason)
        self._forget_interpreter()
        self._owner.interpreter_ended()

    def _forget_interpreter(self) -> None:
        self._ready_for_services = self._warm = False
        self._questions.forget_interpreter()
        for subshells in (self.subshells, self._services):
            subshells.forget_interpreter()

    def _lose_requests(self, reason: str) -> None:
        """Answer what the dead interpreter had; executions are answered where they wait."""
        for msg_id, request in list(self._requests.items()):
            if not request.is_execution:
                del self._requests[msg_id]
                error = {"status": "error", "ename": InterpreterDiedError.__name__, "evalue": reason}
                self._outbox.answer(request.message, request.idents, {**error, "traceback": []})
                self._outbox.say(request.message, "status", {"execution_state": "idle"})

    @property
    def _has_interpreter(self) -> bool:
        return self._interpreter.done() and self._interpreter.exception() is None

    def _want_interpreter(self) -> None:
        if not self._starting:
            self._starting = True
            self._owner.interpreter_wanted()

    # Progress in the cell that waits

    def _first_waiting(self) -> Request | None:
        if self._has_interpreter:
            return None
        return next((r for r in self._requests.values() if r.is_execution), None)

    async def _show_progress(self) -> None:
        await asyncio.sleep(_PROGRESS_SECONDS)
        request = self._first_waiting()
        if request is None or not self._progress:
            return
        text, self._progress = self._progress, ""
        self._progress_shown.add(request.message.msg_id)
        self._outbox.say(request.message, "stream", {"name": "stderr", "text": text + "\n"})

    def _clear_progress(self, request: Request) -> None:
        if request.message.msg_id in self._progress_shown:
            self._progress_shown.discard(request.message.msg_id)
            self._outbox.say(request.message, "clear_output", {"wait": False})

    def _announce(self, request: Request) -> None:
        if not request.announced:
            request.announced = True
            self._outbox.say(request.message, "status", {"execution_state": "busy"})

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _WaitInterruptedError(Exception):
    pass
