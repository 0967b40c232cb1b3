"""`%sh` and `%%sh`: a shell command in the sandbox, through `process.exec`."""

from __future__ import annotations

import asyncio
import posixpath
import shlex
from typing import TYPE_CHECKING

from ..errors import CommandFailedError, DaytonaNotFoundError, DaytonaTimeoutError, MagicUsageError
from ..interpreter.launcher import SESSION_PREFIX
from .arguments import Option, Signature
from .shell import process_tree
from .shell.foreground import run_in_foreground
from .shell.process_tree import Ending
from .timing import Timings, ticking

if TYPE_CHECKING:
    from ..client.process import AsyncProcess
    from .magic_call import MagicCall
    from .registry import Registry

_LIVES_ON = "The command did not end: it goes on in the sandbox."


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


TIMEOUT = Option("timeout", "whole seconds after which the command is ended", "S", seconds)
NO_RAISE = Option("no-raise", "let the cell succeed whatever the exit status")
ENV = Option("env", "NAME=VALUE for its environment", "K=V", assignment, repeated=True)


async def finish(call: MagicCall, exit_code: int | None, *, may_fail: bool, what: str = "command") -> None:
    """Set `_exit_code`, and fail the cell when the status is not 0 and it may not be.

    what: what has ended, for the sentence.
    """
    await call.set("_exit_code", exit_code)
    if exit_code not in (0, None) and not may_fail:
        raise CommandFailedError(describe_status(exit_code, what))


def describe_status(exit_code: int, what: str) -> str:
    """Say in words how something ended that did not end well."""
    if exit_code == 127 and what == "command":
        return "The command ended with exit status 127: the shell did not find it."
    if exit_code < 0:
        return f"The {what} was ended by a signal, or its shell could not be started."
    return f"The {what} ended with exit status {exit_code}."


def declare(registry: Registry) -> None:
    """Add `sh` to a registry."""

    @registry.magic(
        "sh",
        Signature(
            options=(
                Option(
                    "cwd", "the directory to run in; the notebook's current one otherwise", "DIR", kind="path"
                ),
                TIMEOUT,
                ENV,
                NO_RAISE,
                Option("live", "show the output as it appears, stdout and stderr apart"),
            ),
            rest="command",
        ),
    )
    async def sh(
        call: MagicCall,
        command: str | None,
        cwd: str | None,
        timeout: int | None,
        env: list[tuple[str, str]],
        no_raise: bool,
        live: bool,
    ) -> list[str] | None:
        """Run a shell command, or the script below %%sh, and show what it prints when it has ended.

        It starts in the notebook's current directory and with what cells have set in os.environ. A
        status other than 0 fails the cell, and is in _exit_code; interrupting the cell ends the
        command. `files = %sh ls` gives the lines of the output in the place of showing them.

        In the line, {expression} and $name are your Python variables. The shell keeps ${name}, what
        stands in single quotes, and a $name that the command sets itself, as in
        `%sh for i in 1 2; do echo $i; done`. The body of %%sh is never changed.
        """
        script = _script_of(call, command)
        directory = posixpath.join(call.cwd or "", cwd) if cwd else call.cwd
        process = (await call.sandbox()).process
        environ = {**call.environ, **dict(env)}
        unset = [name for name in call.unset if name not in environ]
        if unset:
            script = f"unset {' '.join(unset)}; {script}"
        lines = _Lines(call)
        if live:
            status = await _run_live(process, script, directory, environ, timeout, lines)
        else:
            status = await _run(call, process, script, directory, environ, timeout, lines)
        if call.assigned and status != 0 and not no_raise:
            await call.print(lines.text)
        await finish(call, status, may_fail=no_raise)
        return lines.text.splitlines() if call.assigned else None


class _Lines:
    """Where output goes: to the cell, or, when the result is wanted, into `text`."""

    def __init__(self, call: MagicCall) -> None:
        self._call = call
        self.text = ""

    async def print(self, text: str, stream: str = "stdout") -> None:
        if self._call.assigned and stream == "stdout":
            self.text += text
        else:
            await self._call.print(text, stream)


async def _run(
    call: MagicCall,
    process: AsyncProcess,
    script: str,
    directory: str | None,
    environ: dict[str, str],
    timeout: int | None,
    lines: _Lines,
) -> int:
    tag = process_tree.new_tag()
    sent = f"{process_tree.leave_pid(tag)}; {script}"
    async with ticking(call, "Running for"):
        try:
            answer = await process.exec(sent, cwd=directory, timeout=timeout, env=environ or None)
        except (asyncio.CancelledError, DaytonaTimeoutError):
            # Daytona ends only a timed-out command, and of that not what has left its group.
            if await process_tree.end(process, tag) is Ending.LIVES:
                await call.print(_LIVES_ON + "\n", "stderr")
            raise
    if not answer.started:
        raise CommandFailedError(f"There is no directory {directory!r} in the sandbox; nothing was run.")
    if answer.result:
        await lines.print(answer.result)
    return answer.exit_code


async def _run_live(
    process: AsyncProcess,
    script: str,
    directory: str | None,
    environ: dict[str, str],
    timeout: int | None,
    lines: _Lines,
) -> int | None:
    """Run it in a session of its own, since only a session's log can be followed."""
    tag = process_tree.new_tag()
    session = f"{SESSION_PREFIX}live-{tag}"
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environ.items())
    enter = f"cd {shlex.quote(directory)} || exit\n" if directory else ""
    # A subshell, so that `exit` ends only the command; nobody could give it input.
    sent = f"( {process_tree.leave_pid(tag)}\n{enter}{exports}{script}\n) < /dev/null"

    async def end() -> str:
        return _LIVES_ON if await process_tree.end(process, tag) is Ending.LIVES else ""

    try:
        await process.create_session(session)
        return await run_in_foreground(
            process, session, sent, print=lines.print, end=end, timings=Timings(), timeout=timeout
        )
    finally:
        try:
            await process.delete_session(session)
        except DaytonaNotFoundError:
            pass  # together with its sandbox


def _script_of(call: MagicCall, rest: str | None) -> str:
    """Return what is to be run: the rest of a line magic, or the body of a cell magic."""
    if call.body is None:
        if not rest:
            raise MagicUsageError("There is no command to run: %sh COMMAND, or a script below %%sh.")
        return rest
    if rest:
        raise MagicUsageError(f"Put the command below the first line of the cell, not beside it: {rest!r}.")
    return call.body
