"""The persistent interpreter: code in, Jupyter messages out, state kept between calls.

This is what `process.code_run(code, interpreter=…)` runs in. Requests go to the sandbox's
ipykernel as messages; each answer names its request, and goes to the callback of that request,
or, when nobody waits for it (a thread that prints after its cell, a widget), to `on_message`.
"""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ..client.models import ExecuteResponse
from ..errors import (
    InterpreterDiedError,
    InterpreterError,
    InterpreterLostError,
    InterpreterReplacedError,
)
from ..wire.messages import Message
from .connection import Connection, Credentials, Gateway

OnMessage = Callable[[Message], None]

_WHAT_NOW = "Its variables are lost; the next cell runs in a fresh one."


class Interpreter:
    """One interpreter in one sandbox.

    on_message: called with messages that belong to no running `execute`.
    on_ready: called with the kernel_info of each interpreter that has started: the first, and
        every fresh one after an end.
    on_ended: called with a sentence when the interpreter ended and a fresh one is being started.

    It belongs to the event loop that runs `run`.
    """

    def __init__(
        self,
        gateway: Gateway,
        credentials: Credentials,
        *,
        on_message: OnMessage,
        on_ready: Callable[[dict[str, Any]], None] = lambda _info: None,
        on_ended: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._on_message = on_message
        self._on_ready = on_ready
        self._on_ended = on_ended
        self._connection = Connection(gateway, credentials, self._receive)
        self._executions: dict[str, _Execution] = {}
        self.pid: int | None = None

    async def run(self) -> None:
        """Serve until cancelled. Raises InterpreterLostError when the agent is gone for good."""
        try:
            await self._connection.run()
        except InterpreterLostError as error:
            self._fail_all(InterpreterLostError(f"{error} {_WHAT_NOW}"))
            raise

    async def execute(
        self, code: str, *, on_message: OnMessage | None = None, request: Message | None = None
    ) -> ExecuteResponse:
        """Run code, and return when it has ended and all its output was handed over.

        on_message: called with each message that the code causes; None collects what it prints
            to stdout, as the answer's `result`.
        request: the `execute_request` of a front end, sent as the bytes that came; None makes one.

        Returns `exit_code` 0, or 1 when the code raised. Raises InterpreterDiedError when the
        interpreter ended meanwhile, InterpreterLostError when the agent did.
        """
        if request is None:
            request = _execute_request(code)
        execution = _Execution(on_message)
        self._executions[request.msg_id] = execution
        try:
            await self._connection.send(request)
            await execution.done
        finally:
            self._executions.pop(request.msg_id, None)
        return ExecuteResponse(exit_code=0 if execution.succeeded else 1, result=execution.text)

    async def send(self, message: Message) -> None:
        """Send any other message; its answers come to `on_message`."""
        await self._connection.send(message)

    async def tell(self, msg_type: str, **content: Any) -> None:
        """Say something to the agent itself; see agent.agent for what it understands."""
        await self._connection.send(Message.make("agent", {"msg_type": msg_type}, content))

    async def interrupt(self) -> None:
        """Raise KeyboardInterrupt in what runs, as SIGINT does in a terminal."""
        await self.tell("interrupt")

    def replace(self) -> None:
        """What is being executed fails with InterpreterReplacedError: nobody is to wait for it here."""
        self._fail_all(InterpreterReplacedError("The kernel has moved to another interpreter."))

    def _receive(self, message: Message) -> None:
        if message.channel == "agent":
            self._take_event(message)
            return
        execution = self._executions.get(message.parent_id)
        if execution is None:
            self._on_message(message)
        else:
            execution.take(message)

    def _take_event(self, event: Message) -> None:
        content = event.content
        if event.msg_type == "ready":
            self.pid = content["pid"]
            self._on_ready(content["kernel_info"])
        elif event.msg_type == "ended":
            reason = f"{describe_end(content['status'])} {_WHAT_NOW}"
            self.pid = None
            self._fail_all(InterpreterDiedError(reason))
            self._on_ended(reason)
        elif event.msg_type == "failed":
            self._fail_all(InterpreterLostError(content["reason"]))
        else:
            self._on_message(event)

    def _fail_all(self, error: InterpreterError) -> None:
        for execution in list(self._executions.values()):
            execution.fail(error)


class _Execution:
    """A request that runs: over when both its reply and its `idle` have come, in either order."""

    def __init__(self, on_message: OnMessage | None) -> None:
        self._on_message = on_message
        self._printed: list[str] = []
        self._replied = False
        self._idle = False
        self.succeeded = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def text(self) -> str:
        return "".join(self._printed)

    def take(self, message: Message) -> None:
        if self._on_message is not None:
            self._on_message(message)
        elif message.msg_type == "stream" and message.content.get("name") == "stdout":
            self._printed.append(str(message.content.get("text", "")))
        if message.msg_type == "execute_reply":
            self._replied = True
            self.succeeded = message.content.get("status") == "ok"
        elif message.msg_type == "status":
            self._idle = message.content.get("execution_state") == "idle"
        if self._replied and self._idle and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


def describe_end(status: int) -> str:
    """Say how a child ended: an exit status, or a signal as a negative number."""
    if status >= 0:
        return f"The interpreter ended with exit status {status}."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = " It may have run out of memory." if name == "SIGKILL" else ""
    return f"The interpreter was ended by {name}.{hint}"


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
