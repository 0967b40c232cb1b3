"""The persistent interpreter: takes code, returns Jupyter messages, and keeps its state between cells.

`process.code_run(code, interpreter=…)` runs in this. Requests go to the sandbox's ipykernel as messages.
Each answer names its request and goes to that request's callback. Messages that belong to no running
request (a thread that prints after its cell, a widget) go to `on_message`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, assert_never

from ..client.models.processes import ExecuteResponse
from ..errors import (
    CellUnstartedError,
    InterpreterDiedError,
    InterpreterError,
    InterpreterLostError,
    InterpreterReplacedError,
    InterpreterStartError,
)
from ..wire.agent_messages import (
    CHANNEL,
    Ended,
    Failed,
    Interrupt,
    Interrupted,
    MagicClosed,
    Ready,
    Running,
    Shutdown,
    ToAgent,
    Unstarted,
    UsageReport,
    decode_from_agent,
    encode_agent_message,
)
from ..wire.messages import Message
from .connection import Connection, Credentials, Gateway
from .ending import describe_end

if TYPE_CHECKING:
    from .bookmark import Bookmark

OnMessage = Callable[[Message], None]
# The agent's messages that the kernel acts on. The interpreter object acts on the others itself.
AgentEvent = Interrupted | Running | UsageReport | MagicClosed

_VARIABLES_LOST = "The variables are lost; the next cell runs in a fresh interpreter."

# Seconds from the `idle` of a cell to its reply, which may be large. A malformed request has no reply.
_UNANSWERED_SECONDS = 60.0

_log = logging.getLogger(__name__)


class Interpreter:
    """One interpreter in one sandbox. It belongs to the event loop that runs `run`.

    on_message: called with each message that belongs to no running `execute`.
    on_event: called with the agent's messages about interrupts, running cells, usage and magic calls.
    on_ready: called with the kernel_info of each interpreter that has started: of the first, and of every
        one that replaces it.
    on_ended: called with a sentence when the interpreter has ended and another is being started.
    on_outage: called with a sentence when the connection breaks, and with None when it is there again.
    bookmark: see Connection.
    """

    def __init__(
        self,
        gateway: Gateway,
        credentials: Credentials,
        *,
        on_message: OnMessage,
        on_event: Callable[[AgentEvent], None] = lambda _event: None,
        on_ready: Callable[[dict[str, Any]], None] = lambda _info: None,
        on_ended: Callable[[str], None] = lambda _reason: None,
        on_outage: Callable[[str | None], None] = lambda _reason: None,
        bookmark: Bookmark | None = None,
    ) -> None:
        self._on_message = on_message
        self._on_event = on_event
        self._on_ready = on_ready
        self._on_ended = on_ended
        self._connection = Connection(gateway, credentials, self._receive, on_outage, bookmark, self._waits)
        self._executions: dict[str, _Execution] = {}
        # Why nothing more can run here; None while something can.
        self._failure: InterpreterError | None = None
        self._ended = asyncio.Event()
        self.pid: int | None = None

    async def run(self) -> None:
        """Serve until canceled. When it fails, everything that runs in the interpreter fails with it.

        Raises InterpreterLostError when the agent is gone, InterpreterUnreachableError when it has been out
        of reach for too long, and InterpreterStartError when its interpreter does not start.
        """
        try:
            await self._connection.run()
        except InterpreterLostError as error:
            failure: InterpreterError = InterpreterLostError(f"{error} {_VARIABLES_LOST}")
        except InterpreterError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - a defect here must not leave the cells waiting
            _log.exception("The connection to the interpreter failed")
            reason = f"The kernel's connection failed: {type(error).__name__}: {error}."
            failure = InterpreterLostError(f"{reason} {_VARIABLES_LOST}")
        self._failure = failure
        self._fail_all(failure)
        raise failure

    async def execute(
        self, code: str, *, on_message: OnMessage | None = None, request: Message | None = None
    ) -> ExecuteResponse:
        """Run code; return when it has ended and all its output was handed over.

        on_message: called with each message that the code causes. None collects what the code prints to
            stdout, as the answer's `result`.
        request: the front end's `execute_request` that holds this code. It is sent as it is, so that the
            answers name the front end's cell, and `code` is not looked at. None makes one from `code`.

        Returns `exit_code` 0, or 1 when the code raised. Raises InterpreterDiedError when the interpreter
        ended meanwhile, CellUnstartedError when an interrupt came before the interpreter had started, and
        InterpreterError when the interpreter has gone on without a reply, and otherwise the error with which
        `run` ended.
        """
        if request is None:
            request = _execute_request(code)
        execution = _Execution(on_message)
        self._executions[request.msg_id] = execution
        try:
            await self.send(request)
            await execution.done
        finally:
            self._executions.pop(request.msg_id, None)
            execution.close()
        return ExecuteResponse(exit_code=0 if execution.succeeded else 1, result=execution.text)

    async def send(self, message: Message) -> None:
        """Send any other message. Its answers go to `on_message`. Raises the error with which `run` ended."""
        # A request that waited elsewhere may arrive after the end. Nobody would ever answer it.
        if self._failure is not None:
            raise self._failure
        await self._connection.send(message)

    def post(self, message: Message) -> None:
        """Send a message in front of the next one that is sent. Its answers go to `on_message`."""
        if self._failure is None:
            self._connection.post(message)

    async def tell(self, message: ToAgent) -> None:
        """Send a message to the agent itself. Raises the error with which `run` ended."""
        await self.send(encode_agent_message(message))

    async def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the running code, as SIGINT does in a terminal.

        `on_event` is called with Interrupted once the signal was sent.
        """
        await self.tell(Interrupt())

    @property
    def is_running(self) -> bool:
        """Whether it has code that has not ended."""
        return bool(self._executions)

    def lose(self, reason: str) -> InterpreterLostError:
        """Fail everything that runs here, because the sandbox is gone, and return the error.

        reason: a sentence. The caller cancels `run`.
        """
        failure = InterpreterLostError(f"{reason} {_VARIABLES_LOST}")
        self._failure = failure
        self._fail_all(failure)
        return failure

    def replace(self) -> None:
        """Leave the interpreter: fail all executions with InterpreterReplacedError, and drop its messages."""
        self._failure = InterpreterReplacedError("The kernel has moved to another interpreter.")
        self._fail_all(self._failure)

    async def shut_down(self) -> None:
        """End an interpreter that the kernel has left, in good order. Returns when it has ended.

        Its files are flushed and its `atexit` functions run. The agent ends with it. `run` must go on
        meanwhile.
        """
        await self._connection.send(encode_agent_message(Shutdown()))
        await self._ended.wait()

    def _waits(self) -> bool:
        """Return whether code was sent that has not started, as far as the kernel knows."""
        return any(not each.has_started for each in self._executions.values())

    def _receive(self, message: Message) -> None:
        """Take a message of the agent or the interpreter. Raises ProtocolError and InterpreterStartError."""
        if self._failure is not None:
            if message.channel == CHANNEL and message.msg_type == Ended.TYPE:
                self._ended.set()
            return
        if message.channel == CHANNEL:
            self._take_agent_message(message)
            return
        execution = self._executions.get(message.parent_id)
        if execution is None:
            self._on_message(message)
        else:
            execution.take(message)

    def _take_agent_message(self, message: Message) -> None:
        match decode_from_agent(message):
            case Ready(pid=pid, kernel_info=kernel_info):
                self.pid = pid
                self._on_ready(kernel_info)
            case Ended(status=status, out_of_memory=out_of_memory):
                reason = f"{describe_end(status, out_of_memory=out_of_memory)} {_VARIABLES_LOST}"
                self.pid = None
                self._fail_all(InterpreterDiedError(reason))
                self._on_ended(reason)
            case Failed(reason=reason):
                raise InterpreterStartError(reason)
            case Unstarted(msg_ids=msg_ids):
                for msg_id in msg_ids:
                    if msg_id in self._executions:
                        self._executions[msg_id].fail(CellUnstartedError("The cell has not run."))
            case Interrupted() | Running() | UsageReport() | MagicClosed() as event:
                self._on_event(event)
            case unexpected:
                assert_never(unexpected)

    def _fail_all(self, error: InterpreterError) -> None:
        for execution in list(self._executions.values()):
            execution.fail(error)


class _Execution:
    """A running request. It is done when its reply and its `idle` have come, in either order."""

    def __init__(self, on_message: OnMessage | None) -> None:
        self._on_message = on_message
        self._printed: list[str] = []
        self.has_started = False
        self._replied = False
        self._idle = False
        self._timer: asyncio.TimerHandle | None = None
        self.succeeded = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def text(self) -> str:
        return "".join(self._printed)

    def take(self, message: Message) -> None:
        self.has_started = True
        if self._on_message is not None:
            self._on_message(message)
        elif message.msg_type == "stream" and message.content.get("name") == "stdout":
            self._printed.append(str(message.content.get("text", "")))
        if message.msg_type == "execute_reply":
            self._replied = True
            self.succeeded = message.content.get("status") == "ok"
        elif message.msg_type == "status":
            self._idle = message.content.get("execution_state") == "idle"
        if not self._idle or self.done.done():
            return
        if self._replied:
            self.done.set_result(None)
        elif self._timer is None:
            error = InterpreterError("The interpreter gave no reply to this cell.")
            self._timer = asyncio.get_running_loop().call_later(_UNANSWERED_SECONDS, self.fail, error)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


def _execute_request(code: str) -> Message:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "username": "daytona",
        "session": uuid.uuid4().hex,
        "date": datetime.now(UTC).isoformat(),
        "version": "5.4",
    }
    content = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": False,
    }
    return Message.make("shell", header, content)
