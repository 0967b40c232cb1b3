"""`sandbox.process`: commands, code and sessions in a sandbox, as on Daytona's Process page.

Most methods are operations of `operations.processes` and `operations.sessions`, bound to a driver.
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
    from .models.processes import CodeRunParams, ExecuteResponse
    from .models.sandboxes import SandboxInstance
    from .run_commands import CodeToolbox


class Interpreter(Protocol):
    """A persistent interpreter in a sandbox; `daytona_kernel.interpreter` implements it."""

    async def execute(
        self, code: str, *, on_message: Callable[[Any], None] | None = None, request: Any = None
    ) -> ExecuteResponse:
        """Execute code and return the outcome; see `AsyncProcess.code_run`."""
        ...


class Process:
    """The processes of a sandbox.

    code_toolbox: the commands that run code in the sandbox's language.
    toolbox_api: the driver for the sandbox's toolbox. instance: the sandbox's description.
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
        """Run code in a fresh process of its language and return its output and exit code.

        params: arguments and environment variables for the code.
        timeout: whole seconds that the code may take; 0 or None for no limit.
        language: "python", "javascript" or "typescript"; None for the sandbox's language. Python code
            may be indented as a whole.
        request_timeout: seconds to wait for the answer; None waits as long as the code takes.

        Failing code raises nothing: its status is `exit_code`. Raises DaytonaTimeoutError if the code
        exceeds `timeout`, and DaytonaBadRequestError for an unknown language.
        """
        toolbox = run_commands.code_toolbox(language) if language else self.code_toolbox
        exchange = processes.run_code(
            code, params, timeout, code_toolbox=toolbox, request_timeout=request_timeout
        )
        return self.toolbox_api.run(exchange)

    def follow_session_command_logs(self, session_id: str, command_id: str, offset: int = 0) -> LogFollower:
        """Return an iterator over the chunks of a command's log. It ends when the command has ended.

        offset: the position in the raw log to start at, for example another follower's `offset`.

        Each chunk names its stream. If the connection breaks, no byte is lost or repeated. The
        iteration raises DaytonaNotFoundError if the command does not exist, or no longer exists.
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
        """Run code as `Process.code_run` does, or in a persistent interpreter.

        interpreter: the interpreter to use, which keeps its variables; None for a fresh process.
        on_message: called with each message that the execution causes, as it arrives.
        request: the `execute_request` to send, with the code in it; None creates one for `code`.
        """
        if interpreter is not None:
            return await interpreter.execute(code, on_message=on_message, request=request)
        toolbox = run_commands.code_toolbox(language) if language else self.code_toolbox
        exchange = processes.run_code(
            code, params, timeout, code_toolbox=toolbox, request_timeout=request_timeout
        )
        return await self.toolbox_api.run(exchange)

    def follow_session_command_logs(
        self, session_id: str, command_id: str, offset: int = 0
    ) -> AsyncLogFollower:
        """Return an async iterator; see `Process.follow_session_command_logs`."""
        return AsyncLogFollower(self.toolbox_api, session_id, command_id, offset)
