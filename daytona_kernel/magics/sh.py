"""`%sh` and `%%sh`: a shell command in the sandbox, through `process.exec`."""

from __future__ import annotations

from ..errors import CommandFailedError, MagicUsageError
from .arguments import Option, Signature
from .registry import Call, Registry


def seconds(text: str) -> int:
    """Convert an option's text to whole seconds. Raises ValueError."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def assignment(text: str) -> tuple[str, str]:
    """Convert `K=V`. Raises ValueError."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(text)
    return name, value


def script_of(call: Call, rest: str | None) -> str:
    """Return what is to be run: the rest of a line magic, or the body of a cell magic."""
    if call.body is None:
        if not rest:
            raise MagicUsageError("There is no command to run: %sh COMMAND, or a script below %%sh.")
        return rest
    if rest:
        raise MagicUsageError(f"Put the command below the first line of the cell, not beside it: {rest!r}.")
    return call.body


async def finish(call: Call, exit_code: int | None, *, may_fail: bool) -> None:
    """Set `_exit_code`, and fail the cell when the status is not 0 and it may not be."""
    await call.set("_exit_code", exit_code)
    if exit_code not in (0, None) and not may_fail:
        raise CommandFailedError(describe_status(exit_code))


def describe_status(exit_code: int) -> str:
    """Say in words how a command ended that did not end well."""
    if exit_code == 127:
        return "The command ended with exit status 127: the shell did not find it."
    if exit_code < 0:
        return "The command was ended by a signal, or its shell could not be started."
    return f"The command ended with exit status {exit_code}."


def declare(registry: Registry) -> None:
    """Add `sh` to a registry."""

    @registry.magic(
        "sh",
        Signature(
            options=(
                Option("cwd", "the directory to run in; the notebook's current one otherwise", "DIR"),
                Option("timeout", "whole seconds after which the command is ended", "S", seconds),
                Option("env", "NAME=VALUE for the command's environment", "K=V", assignment, repeated=True),
                Option("no-raise", "let the cell succeed whatever the exit status"),
            ),
            rest="command",
        ),
    )
    async def sh(
        call: Call,
        command: str | None,
        cwd: str | None,
        timeout: int | None,
        env: list[tuple[str, str]],
        no_raise: bool,
    ) -> None:
        """Run a shell command in the sandbox and show what it prints when it has ended."""
        script = script_of(call, command)
        sandbox = await call.sandbox()
        directory = cwd or call.cwd
        answer = await sandbox.process.exec(script, cwd=directory, timeout=timeout, env=dict(env) or None)
        if not answer.started:
            raise CommandFailedError(f"There is no directory {directory!r} in the sandbox; nothing was run.")
        if answer.result:
            await call.print(answer.result)
        await finish(call, answer.exit_code, may_fail=no_raise)
