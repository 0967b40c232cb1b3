"""The routes of one-off runs: `/process/execute` and `/process/code-run`."""

from __future__ import annotations

import re
from typing import Any

from .. import failures
from ..toolbox.one_off import execute, run_code
from .fields import field, string_list, string_map
from .request import ToolboxHandler

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ExecuteHandler(ToolboxHandler):
    """Runs a shell command and answers with its exit code and output."""

    async def post(self) -> None:
        body = self.json_body()
        command = field(body, "command", str)
        if not command.strip():
            raise failures.bad_request("command is required")
        result = await execute(
            self.sandbox.spawn,
            self.sandbox.profile,
            self.sandbox.running_time,
            command,
            cwd=field(body, "cwd", str, None),
            env=environment(body),
            seconds=timeout(body),
        )
        self.answer({"exitCode": result.exit_code, "result": text(result.output)})


class CodeRunHandler(ToolboxHandler):
    """Runs code in a fresh process and answers with its exit code, output and charts."""

    async def post(self) -> None:
        body = self.json_body()
        argv = string_list(body, "argv", [])
        result = await run_code(
            self.sandbox.spawn,
            self.sandbox.profile,
            self.sandbox.running_time,
            field(body, "code", str),
            language=field(body, "language", str),
            argv=argv,
            env=environment(body),
            charts=self.sandbox.charts_environment,
            seconds=timeout(body),
        )
        answer: dict[str, Any] = {"exitCode": result.exit_code, "result": text(result.output)}
        if result.charts:
            answer["artifacts"] = {"charts": result.charts}
        self.answer(answer)


def environment(body: dict[str, Any]) -> dict[str, str]:
    """Return the request's environment variables. Raises `ApiError` 400 for a name that no shell accepts."""
    envs = string_map(body, "envs")
    for name in envs:
        if not _ENVIRONMENT_NAME.fullmatch(name):
            raise failures.bad_request(f"invalid environment variable name: '{name}'")
    if any("\0" in value for value in envs.values()):
        raise failures.bad_request("an environment variable cannot contain a NUL byte")
    return envs


def timeout(body: dict[str, Any]) -> int | None:
    """Return the request's timeout in seconds, or `None`. Raises `ApiError` 400 for a negative one."""
    seconds: int | None = field(body, "timeout", int, None)
    if seconds is not None and seconds < 0:
        raise failures.bad_request("timeout must be a non-negative integer")
    return seconds


def text(output: bytes) -> str:
    """Return `output` as text; each invalid byte becomes U+FFFD."""
    return output.decode("utf-8", "replace")
