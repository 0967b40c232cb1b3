"""Running commands and code in a sandbox: the Process page, in its sync and its async form.

Where a method is only a call, it is defined in `calls`; here it is bound to its driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from . import run_commands
from .log_follower import AsyncLogFollower, LogFollower
from .operations import processes, sessions
from .twins import async_method, method

if TYPE_CHECKING:
    from collections.abc import Callable

    from .api import AsyncToolboxApi, ToolboxApi
    from .models import CodeRunParams, ExecuteResponse, SandboxInstance
    from .run_commands import CodeToolbox


class Interpreter(Protocol):
    """A persistent interpreter in the sandbox; see `daytona_kernel.interpreter`."""

    async def execute(
        self, code: str, *, on_message: Callable[[Any], None] | None = None, request: Any = None
    ) -> ExecuteResponse: ...


class Process:
    """Process and code execution within a sandbox.

    code_toolbox: how the sandbox's language runs code. toolbox_api: the driver for the sandbox's
    toolbox. instance: the sandbox that this belongs to.
    """

    def __init__(self, code_toolbox: CodeToolbox, toolbox_api: ToolboxApi, instance: SandboxInstance) -> None:
        self.code_toolbox = code_toolbox
        self.toolbox_api = toolbox_api
        self.instance = instance

    @property
    def _api(self) -> ToolboxApi:
        return self.toolbox_api

    exec = method(processes.execute, "exec")
    create_session = method(sessions.create_session)
    get_session = method(sessions.get_session)
    list_sessions = method(sessions.list_sessions)
    delete_session = method(sessions.delete_session)
    execute_session_command = method(sessions.execute_session_command)
    get_session_command = method(sessions.get_session_command)
    get_session_command_logs = method(sessions.get_session_command_logs)
    send_session_command_input = method(sessions.send_session_command_input)

    def code_run(
        self,
        code: str,
        params: CodeRunParams | None = None,
        timeout: int | None = None,
        *,
        language: str | None = None,
        request_timeout: float | None = None,
    ) -> ExecuteResponse:
        """Run code in a fresh runtime of its language, and return what it printed.

        params: arguments and environment variables for it.
        timeout: whole seconds that it may take; 0 or None for as long as it takes.
        language: "python", "javascript" or "typescript"; None for the sandbox's own. Python code may
            be indented as a whole.
        request_timeout: seconds to wait for the answer; None waits as long as the code takes.

        Code that fails is no error: see `exit_code`. Raises DaytonaTimeoutError when `timeout` was
        over, and DaytonaBadRequestError for another language.
        """
        toolbox = run_commands.code_toolbox(language) if language else self.code_toolbox
        call = processes.run_code(
            code, params, timeout, code_toolbox=toolbox, request_timeout=request_timeout
        )
        return self.toolbox_api.run(call)

    def follow_session_command_logs(self, session_id: str, command_id: str, offset: int = 0) -> LogFollower:
        """Return an iterator over a command's log, from the first byte on, until the command has ended.

        offset: where to start in the raw log, as a former follower's `offset` said.

        Each chunk has its stream. No byte is lost or given twice, whatever the connection does.
        Raises DaytonaNotFoundError, while it iterates, when there is no such command any more.
        """
        return LogFollower(self.toolbox_api, session_id, command_id, offset)


class AsyncProcess:
    """The async form of `Process`, with the same methods."""

    def __init__(
        self, code_toolbox: CodeToolbox, toolbox_api: AsyncToolboxApi, instance: SandboxInstance
    ) -> None:
        self.code_toolbox = code_toolbox
        self.toolbox_api = toolbox_api
        self.instance = instance

    @property
    def _api(self) -> AsyncToolboxApi:
        return self.toolbox_api

    exec = async_method(processes.execute, "exec")
    create_session = async_method(sessions.create_session)
    get_session = async_method(sessions.get_session)
    list_sessions = async_method(sessions.list_sessions)
    delete_session = async_method(sessions.delete_session)
    execute_session_command = async_method(sessions.execute_session_command)
    get_session_command = async_method(sessions.get_session_command)
    get_session_command_logs = async_method(sessions.get_session_command_logs)
    send_session_command_input = async_method(sessions.send_session_command_input)

    async def code_run(
        self,
        code: str,
        params: CodeRunParams | None = None,
        timeout: int | None = None,
        *,
        language: str | None = None,
        request_timeout: float | None = None,
        interpreter: Interpreter | None = None,
        on_message: Callable[[Any], None] | None = None,
        request: Any = None,
    ) -> ExecuteResponse:
        """Run code in a fresh runtime as `Process.code_run` does; or, with `interpreter`, in that one.

        interpreter: a persistent interpreter, which keeps its state from one call to the next.
        on_message: called with each message that the code causes, as it comes.
        request: the message that asks for the execution, sent as it is; None makes one.
        """
        if interpreter is not None:
            return await interpreter.execute(code, on_message=on_message, request=request)
        toolbox = run_commands.code_toolbox(language) if language else self.code_toolbox
        call = processes.run_code(
            code, params, timeout, code_toolbox=toolbox, request_timeout=request_timeout
        )
        return await self.toolbox_api.run(call)

    def follow_session_command_logs(
        self, session_id: str, command_id: str, offset: int = 0
    ) -> AsyncLogFollower:
        """The async form of `Process.follow_session_command_logs`, for `async for`."""
        return AsyncLogFollower(self.toolbox_api, session_id, command_id, offset)
