"""The operations that run commands and code, as on the Process page of Daytona's documentation."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from ...errors import DaytonaBadRequestError, DaytonaNotFoundError
from ..exchange import Exchange, Request
from ..models.processes import CodeRunParams, ExecuteResponse
from ..retries import send
from ..run_commands import is_changed_by_shells
from . import table

if TYPE_CHECKING:
    from ..run_commands import CodeToolbox


def execute(
    command: str,
    cwd: str | None = None,
    timeout: int | None = None,
    *,
    env: dict[str, str] | None = None,
    request_timeout: float | None = None,
) -> Exchange[ExecuteResponse]:
    """Execute a shell command in the sandbox and return when it has ended.

    cwd: the directory to run it in; None for the sandbox's working directory.
    timeout: whole seconds that the command may take; 0 or None for no limit.
    env: environment variables for the command, in addition to the sandbox's.
    request_timeout: seconds to wait for the answer; None waits as long as the command takes. The
        command continues if the client stops waiting.

    A failing command raises nothing: its status is `exit_code`. Raises DaytonaTimeoutError if the
    command exceeds `timeout`, and DaytonaBadRequestError for an empty command or a malformed
    variable name.
    """
    body: dict[str, Any] = {"command": command, "cwd": cwd, "timeout": _whole(timeout), "envs": env}
    response = yield from send(Request(table.EXECUTE, json=_given(body), request_timeout=request_timeout))
    return ExecuteResponse.from_json(response.json())


def run_code(
    code: str,
    params: CodeRunParams | None = None,
    timeout: int | None = None,
    *,
    code_toolbox: CodeToolbox,
    request_timeout: float | None = None,
) -> Exchange[ExecuteResponse]:
    """Run code in a fresh process of the toolbox's language; see `Process.code_run`.

    A toolbox without the route `/process/code-run` runs the language's shell command instead. Every toolbox
    does if a shell would change an argument: that command quotes arguments, and the route does not.
    """
    params = params or CodeRunParams()
    if code_toolbox.language == "python":
        code = textwrap.dedent(code)
    if is_changed_by_shells(params.argv or []):
        return (yield from _run_command(code, params, timeout, code_toolbox, request_timeout))
    body: dict[str, Any] = {
        "code": code,
        "language": code_toolbox.language,
        "argv": params.argv,
        "envs": params.env,
        "timeout": _whole(timeout),
    }
    try:
        response = yield from send(
            Request(table.CODE_RUN, json=_given(body), request_timeout=request_timeout)
        )
    except DaytonaNotFoundError as error:
        if error.code is not None:
            raise  # the route exists: the toolbox answered
        return (yield from _run_command(code, params, timeout, code_toolbox, request_timeout))
    return ExecuteResponse.from_json(response.json())


def _run_command(
    code: str,
    params: CodeRunParams,
    timeout: int | None,
    code_toolbox: CodeToolbox,
    request_timeout: float | None,
) -> Exchange[ExecuteResponse]:
    command = code_toolbox.get_run_command(code, params)
    answer = yield from execute(command, timeout=timeout, env=params.env, request_timeout=request_timeout)
    return code_toolbox.read_output(answer)


def _whole(timeout: float | None) -> int | None:
    if timeout is None:
        return None
    if timeout < 0 or timeout != int(timeout):
        raise DaytonaBadRequestError(
            f"timeout must be a whole number of seconds, or 0 for no limit; it is {timeout}."
        )
    return int(timeout)


def _given(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}
