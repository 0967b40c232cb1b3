"""Running commands and code."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from ...errors import DaytonaBadRequestError, DaytonaNotFoundError
from ..exchange import Exchange, Patience, Request
from ..models import CodeRunParams, ExecuteResponse
from ..retries import send
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
    """Execute a shell command in the sandbox, and return when it has ended.

    cwd: the directory to run it in; None for the sandbox's working directory.
    timeout: whole seconds that it may take; 0 or None for as long as it takes.
    env: environment variables for it, beside the sandbox's own.
    request_timeout: seconds to wait for the answer; None waits as long as the command takes. The
        command goes on when the client stops waiting.

    A command that fails is no error: see `exit_code`. Raises DaytonaTimeoutError when `timeout` was
    over, and DaytonaBadRequestError for an empty command or a malformed variable name.
    """
    body: dict[str, Any] = {"command": command, "cwd": cwd, "timeout": _whole(timeout), "envs": env}
    response = yield from send(Request(table.EXECUTE, json=_given(body), patience=patience(request_timeout)))
    return ExecuteResponse.from_json(response.json())


def run_code(
    code: str,
    params: CodeRunParams | None = None,
    timeout: int | None = None,
    *,
    code_toolbox: CodeToolbox,
    request_timeout: float | None = None,
) -> Exchange[ExecuteResponse]:
    """Run code in a fresh runtime of the toolbox's language.

    Where the toolbox is older than `/process/code-run`, the language's own command runs the code.
    """
    params = params or CodeRunParams()
    if code_toolbox.language == "python":
        code = textwrap.dedent(code)
    body: dict[str, Any] = {
        "code": code,
        "language": code_toolbox.language,
        "argv": params.argv,
        "envs": params.env,
        "timeout": _whole(timeout),
    }
    try:
        response = yield from send(
            Request(table.CODE_RUN, json=_given(body), patience=patience(request_timeout))
        )
    except DaytonaNotFoundError as error:
        if error.code is not None:
            raise  # an answer of the toolbox, and not the lack of the route
        command = code_toolbox.get_run_command(code, params)
        answer = yield from execute(command, timeout=timeout, env=params.env, request_timeout=request_timeout)
        return code_toolbox.read_output(answer)
    return ExecuteResponse.from_json(response.json())


def patience(request_timeout: float | None) -> float | Patience:
    """Return how long to wait for a command's answer: for ever, unless told otherwise."""
    return Patience.FOREVER if request_timeout is None else request_timeout


def _whole(timeout: float | None) -> int | None:
    if timeout is None:
        return None
    if timeout < 0 or timeout != int(timeout):
        raise DaytonaBadRequestError(f"timeout is a whole number of seconds, 0 for none, not {timeout}.")
    return int(timeout)


def _given(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}
