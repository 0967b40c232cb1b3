"""`%sh` and `%%sh`: a shell command in the sandbox, through `process.exec`."""

from __future__ import annotations

import asyncio
import functools
import shlex
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import (
    CommandFailedError,
    DaytonaConnectionError,
    DaytonaConnectionTimeoutError,
    DaytonaError,
    DaytonaNotFoundError,
    DaytonaProcessExecutionTimeoutError,
    MagicUsageError,
)
from ..formatting import format_duration
from ..wait_limit import limited
from ..wire.conventions import SESSION_PREFIX
from .command_history import CommandHistory
from .copying.remote_files import RemoteFiles
from .magic import magic
from .magic_call import current_directory
from .options import ENV, NO_RAISE, TIMEOUT
from .outcome import finish
from .reach import Reach
from .shell import process_tree
from .shell.foreground import run_in_foreground
from .shell.process_tree import Ending, Sight
from .shell.variables import with_variables
from .signature import Option, Signature
from .timing import ticking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..client.models.processes import ExecuteResponse
    from ..client.process import AsyncProcess
    from .magic_call import MagicCall

_SPARE_SECONDS = 10
_LAST_OUTPUT_SECONDS = 1.0  # the wait for the output of a command that was ended
_STILL_RUNS = "The command did not end; it still runs in the sandbox. %sandbox stop ends it, and Python too."
_FIRST_LOOK_SECONDS = 3.0  # each next pause is twice as long
_LONGEST_PAUSE = 60.0
# Seconds from the end of a command until its answer counts as lost: a long output may be on its way.
_LOST_SECONDS = limited(300.0)
_LOST = "The command has ended, but its answer has not arrived: the connection broke. Its output is lost."
_NO_ANSWER = "The sandbox does not answer. The command may still run there; its output is lost."
_HELD_BY_JOB = (
    "The command has ended, but one of its background jobs keeps the output open, so the cell waits for the "
    "job. Stop ends the job. To let it run, use %session run NAME --async COMMAND, "
    "or redirect its output: COMMAND > log 2>&1 &"
)


class ShellMagic:
    """`%sh` and `%%sh`."""

    @magic(
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
        Reach.SANDBOX,
    )
    async def sh(
        self,
        call: MagicCall,
        command: str,
        cwd: str | None,
        timeout: int | None,
        env: list[tuple[str, str]],
        no_raise: bool,
        live: bool,
    ) -> list[str] | None:
        """Run a shell command, or the script below %%sh, and show its output when it ends.

        The command starts in the notebook's current directory and sees the changes that cells have made
        to os.environ. A status other than 0 fails the cell and is in _exit_code. Interrupting the cell
        ends the command. `files = %sh ls` assigns the lines of the output and does not show them.

        A background job that holds the output belongs to the command: the cell waits for it, and the
        interrupt and the timeout end it, too. To start a server, use %session run NAME --async, or
        redirect its output: `%sh server > log 2>&1 &`. Such a job runs until the sandbox stops; only
        with --live does it end with the cell.

        In the line, {expression} and $name are your Python variables. The shell keeps ${name}, text in
        single quotes, and a $name that the command itself sets, as in
        `%sh for i in 1 2; do echo $i; done`. The body of %%sh is never changed.
        """
        script = _script_of(call, command)
        kept = call.kernel_sandbox.secrets.variables
        kept = {name: value for name, value in kept.items() if name not in call.unset}
        environ = {**kept, **call.environ, **dict(env)}
        unset = [name for name in call.unset if name not in environ]
        if unset:
            script = f"unset {' '.join(unset)}; {script}"
        is_relative = cwd is None or not cwd.startswith(("/", "~"))
        directory = current_directory(call) if is_relative else None
        sandbox = await call.sandbox()
        if cwd is not None:
            directory = await RemoteFiles(sandbox, directory).absolute(cwd)
        process = sandbox.process
        shell_command = _ShellCommand(script, directory, environ, timeout)
        output = _Output(call)
        if live:
            status = await _run_live(process, shell_command, output)
        else:
            status = await _run(call, process, shell_command, output)
        if call.assigned and status != 0 and not no_raise:
            await call.print(output.text)
        await finish(call, status, may_fail=no_raise)
        return output.text.splitlines() if call.assigned else None


@dataclass(frozen=True)
class _ShellCommand:
    """A script with its surroundings. directory: None for the sandbox's own default."""

    script: str
    directory: str | None
    environ: dict[str, str]
    timeout: int | None


class _Output:
    """The output of a command: shown in the cell, or kept in `text` if the cell assigns it."""

    def __init__(self, call: MagicCall) -> None:
        self._call = call
        self.text = ""

    async def write(self, text: str, stream: str = "stdout") -> None:
        if self._call.assigned and stream == "stdout":
            self.text += text
        else:
            await self._call.print(text, stream)


async def _run(call: MagicCall, process: AsyncProcess, command: _ShellCommand, output: _Output) -> int:
    tag = process_tree.new_tag()
    sent = f"{process_tree.leave_pid(tag)}; {command.script}"
    watch = _Watch(process, tag)
    # Daytona's own timeout loses the output and ends only a process group. It is for a kernel that is gone.
    last = command.timeout and command.timeout + _SPARE_SECONDS
    async with ticking(call, lambda: watch.activity), watch.looking() as lost:
        running = asyncio.ensure_future(
            process.exec(sent, cwd=command.directory, timeout=last, env=command.environ or None)
        )
        try:
            waited: set[asyncio.Future[Any]] = {running, lost}
            done, _ = await asyncio.wait(
                waited, timeout=command.timeout or None, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                await _end(call, process, tag, running)
                raise DaytonaProcessExecutionTimeoutError(
                    f"The command took longer than {format_duration(command.timeout or 0)} and was ended."
                )
            if not running.done():
                raise lost.result()
            answer = running.result()
        except asyncio.CancelledError:
            await _end(call, process, tag, running)
            raise
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    if not answer.started:
        raise CommandFailedError(
            f"There is no directory {command.directory!r} in the sandbox; the command was not run."
        )
    if answer.result:
        await output.write(answer.result)
    return answer.exit_code


async def _end(
    call: MagicCall, process: AsyncProcess, tag: str, running: asyncio.Future[ExecuteResponse]
) -> None:
    """End a command with its process tree, and show what it has printed."""
    ending = await process_tree.end(process, tag)
    done, _ = await asyncio.wait({running}, timeout=_LAST_OUTPUT_SECONDS)
    if done and running.exception() is None and running.result().started:
        await call.print(running.result().result)
    if ending is Ending.LIVES:
        await call.print(_STILL_RUNS + "\n", "stderr")


class _Watch:
    """A look at a running command from time to time.

    The answer to its request may wait for a background job of the command, or may be lost with a connection
    of which this machine does not learn that it is dead.

    activity: the command's state for a person.
    """

    def __init__(self, process: AsyncProcess, tag: str) -> None:
        self._process = process
        self._tag = tag
        self.activity = "Running for"

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[asyncio.Future[DaytonaConnectionError]]:
        """Look at the command while the block runs; the future is done when its answer is lost."""
        looking = asyncio.ensure_future(self._look())
        try:
            yield looking
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look(self) -> DaytonaConnectionError:
        pause = _FIRST_LOOK_SECONDS
        ended: float | None = None
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                sight = await process_tree.look(self._process, self._tag)
            except DaytonaConnectionTimeoutError:
                return DaytonaConnectionError(_NO_ANSWER)
            except DaytonaError:
                continue  # the command's own request says what is wrong
            if sight is Sight.LEFT_BEHIND:
                self.activity = f"{_HELD_BY_JOB}. Waiting for"
            ended = (ended or time.monotonic()) if sight is Sight.ENDED else None
            if ended is not None:
                pause = min(pause, _LOST_SECONDS)
                if time.monotonic() - ended >= _LOST_SECONDS:
                    return DaytonaConnectionError(_LOST)


async def _run_live(process: AsyncProcess, command: _ShellCommand, output: _Output) -> int | None:
    """Run a command in a new session, since only a session's log can be followed."""
    tag = process_tree.new_tag()
    session = f"{SESSION_PREFIX}live-{tag}"
    enter = f"cd {shlex.quote(command.directory)} || exit\n" if command.directory else ""
    # In a subshell, `exit` ends only the command. The command gets no input: there is no way to type any.
    script = f"{enter}{command.script}"
    sent = f"{process_tree.in_subshell(tag)}{script}{process_tree.after_subshell(tag, ' < /dev/null')}"

    is_canceled = False

    async def end(_is_held: bool) -> str:
        nonlocal is_canceled
        ending = await process_tree.end(process, tag)
        is_canceled = ending is Ending.NOTHING
        return _STILL_RUNS if ending is Ending.LIVES else ""

    try:
        await process.create_session(session)
        async with with_variables(process, tag, command.environ, {}):
            return await run_in_foreground(
                process,
                session,
                sent,
                write=output.write,
                end=end,
                watch=functools.partial(process_tree.watch, process, tag),
                held=_HELD_BY_JOB,
                history=CommandHistory(),
                timeout=command.timeout,
            )
    finally:
        try:
            await process.delete_session(session)
            if is_canceled:
                await process_tree.forget(process, tag)
        except DaytonaNotFoundError:
            pass  # the session went away with its sandbox


def _script_of(call: MagicCall, rest: str) -> str:
    """Return the script: the rest of a line magic, or the body of a cell magic."""
    if call.body is None:
        if not rest:
            raise MagicUsageError("There is no command to run: use %sh COMMAND, or put a script below %%sh.")
        return rest
    if rest:
        raise MagicUsageError(f"The command must be below the first line of the cell, not in it: {rest!r}.")
    return call.body
