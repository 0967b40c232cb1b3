"""A session: one bash, which runs one command at a time.

The bash reads its script from a pipe. For each command, the server writes one line to that pipe. The line
evaluates the command with its streams on new FIFOs, and then prints the exit code to the bash's own output,
another pipe. So `cd`, exports and functions persist, a command cannot read the next one as its input, and the
server never polls. `exit N` ends the bash; then the supervisor reports the exit code. If a FIFO is gone, the
command fails.

The profile says whether the line sources the command from a file instead, what a command's end waits for,
and what becomes of a command whose shell ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shlex
import signal
import time
import traceback
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...wire.logs import Stream
from .. import failures, limits
from ..box.pipes import PipeReader, PipeWriter, widen
from ..removal import remove_tree
from .log import CommandLog

if TYPE_CHECKING:
    from pathlib import Path

    from ..box.child import Child
    from ..box.pipes import FifoDirectory
    from .profile import Profile

# Without braces: after a command with an unclosed quote, bash takes the next `{` for the name of a program.
# With `builtin` and `\\`: a command may define functions and aliases named `eval` and `printf`.
_EVALUATED = "\\builtin eval {command}"
_SOURCED = "\\builtin trap : EXIT HUP INT; \\builtin . {file}"
_LINE = "{run} <{stdin} >{out} 2>{err}; \\builtin printf '\\n%s %s\\n' {number} $?\n"
_NEVER_RAN = "the session ended before this command could run"
_MAX_PARTIAL_STATUS = 64  # bytes; a command could write anything to the output of its shell


def _end_stream(log: CommandLog, stream: Stream, _: asyncio.Future[None]) -> None:
    log.end(stream)


@dataclass(eq=False)
class SessionCommand:
    """A command of a session. `exit_code` is `None` until it has ended, at the monotonic time `ended_at`.

    With `echo`, its log also gets its input.
    """

    id: str
    number: int
    command: str
    log: CommandLog
    is_async: bool
    echo: bool
    exit_code: int | None = None
    ended_at: float = 0.0
    stdin: PipeWriter | None = None
    readers: tuple[PipeReader, ...] = ()
    started: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Session:
    """A bash in a sandbox, and its commands.

    `shell` reads its script from the other end of the pipe `script`, and prints to the other end of the pipe
    `status`. The session owns the two given ends. `fifos` is `seen_as` in the sandbox. `logs` is the
    directory of the logs, which the sandbox does not see.
    """

    def __init__(
        self,
        session_id: str,
        shell: Child,
        script: int,
        status: int,
        profile: Profile,
        *,
        fifos: FifoDirectory,
        seen_as: str,
        logs: Path,
    ) -> None:
        self.id = session_id
        self._shell = shell
        self._profile = profile
        self._script = PipeWriter(script)
        self.commands: dict[str, SessionCommand] = {}
        self._fifos = fifos
        self._seen_as = seen_as
        self._logs = logs
        self._queue: asyncio.Queue[SessionCommand] = asyncio.Queue()
        self._current: SessionCommand | None = None
        self._partial = b""
        logs.mkdir(parents=True)
        self._status = PipeReader(status, self._read_status)
        self._ended = False
        self._feeder = asyncio.create_task(self._feed())
        shell.exit.add_done_callback(self._on_exit)

    def submit(self, text: str, *, is_async: bool, echo: bool) -> SessionCommand:
        """Queue a command. Raises `ApiError` if the shell has ended or at the limit."""
        if self._ended:
            raise failures.untyped(
                "failed to execute command: bad request: failed to write command: write |1: broken pipe"
            )
        if len(self.commands) >= limits.COMMANDS:
            raise failures.too_many("commands in this session", limits.COMMANDS)
        number = len(self.commands) + 1
        log = CommandLog(self._logs / str(number), self._profile.log_encoder())
        command = SessionCommand(str(uuid.uuid4()), number, text, log, is_async, echo)
        self.commands[command.id] = command
        self._queue.put_nowait(command)
        return command

    async def write_input(self, command: SessionCommand, data: str) -> None:
        """Write `data` to the stdin of an asynchronous command. Raises `ApiError` 410 if it has ended."""
        if command.exit_code is not None:
            raise failures.gone("command has already completed")
        if self._ended and not self._profile.reports_ended_shells:
            raise failures.untyped("failed to open input pipe: no such file or directory")
        text = data if data.endswith("\n") else data + "\n"
        if command.echo:
            command.log.echo(text.encode())
        await command.started.wait()
        if command.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # the command has just ended
                await command.stdin.write(text.encode())

    async def _feed(self) -> None:
        try:
            await self._feed_commands()
        except Exception as error:  # noqa: BLE001  # the commands that wait must hear of every failure
            traceback.print_exc()
            self._fail(
                f"the server could not run this command ({type(error).__name__}); the session has ended"
            )

    def _fail(self, why: str) -> None:
        """End the session, and its commands with the reason `why`."""
        self._ended = True
        self._shell.signal(signal.SIGKILL)
        waiting = [] if self._current is None else [self._current]
        while not self._queue.empty():
            waiting.append(self._queue.get_nowait())
        for command in waiting:
            self._finish(command, -1, why)

    async def _feed_commands(self) -> None:
        while True:
            command = await self._queue.get()
            if self._ended:
                if self._profile.reports_ended_shells:
                    self._finish(command, -1, _NEVER_RAN)
                continue
            self._current = command
            try:
                line = self._open_streams(command)
                command.started.set()
                await self._script.write(line)
            except OSError as error:
                self._finish(command, -1, f"the command could not be started: {error.strerror}")
            await command.done.wait()

    def _open_streams(self, command: SessionCommand) -> bytes:
        number = command.number
        readers = []
        for name, stream in (("out", Stream.STDOUT), ("err", Stream.STDERR)):
            fd = self._fifos.make(f"{number}.{name}", os.O_RDONLY)
            widen(fd)
            reader = PipeReader(fd, functools.partial(command.log.write, stream))
            reader.ended.add_done_callback(functools.partial(_end_stream, command.log, stream))
            readers.append(reader)
        command.readers = tuple(readers)
        stdin = "/dev/null"  # a synchronous command has no input
        if command.is_async:
            command.stdin = PipeWriter(self._fifos.make(f"{number}.in", os.O_RDWR))
            stdin = f"{self._seen_as}/{number}.in"
        text = command.command.replace("\0", "")
        if self._profile.sources_commands:
            self._fifos.write(f"{number}.cmd.sh", text.encode("utf-8", "surrogateescape"))
            run = _SOURCED.format(file=shlex.quote(f"{self._seen_as}/{number}.cmd.sh"))
        else:
            run = _EVALUATED.format(command=shlex.quote(text))
        return _LINE.format(
            run=run,
            stdin=shlex.quote(stdin),
            out=shlex.quote(f"{self._seen_as}/{number}.out"),
            err=shlex.quote(f"{self._seen_as}/{number}.err"),
            number=number,
        ).encode("utf-8", "surrogateescape")

    def _read_status(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._partial = self._partial[-_MAX_PARTIAL_STATUS:]
        for line in lines:
            number, _, code = line.partition(b" ")
            command = self._current
            if command is not None and number == b"%d" % command.number and code.isdigit():
                self._take_status(command, int(code))

    def _take_status(self, command: SessionCommand, exit_code: int) -> None:
        for reader in command.readers:
            reader.drain()
        if self._profile.waits_for_streams:
            ended = asyncio.gather(*(reader.ended for reader in command.readers))
            ended.add_done_callback(lambda _: self._finish(command, exit_code))
        else:
            self._finish(command, exit_code)

    def _on_exit(self, exited: asyncio.Future[int]) -> None:
        self._ended = True
        self._status.drain()
        self._script.close()
        if not self._profile.reports_ended_shells:
            return
        code = exited.result()
        if self._current is not None:
            self._finish(self._current, 128 - code if code < 0 else code)
        while not self._queue.empty():
            self._finish(self._queue.get_nowait(), -1, _NEVER_RAN)

    def _finish(self, command: SessionCommand, exit_code: int, why: str | None = None) -> None:
        """Record the end of `command`, unless it is recorded already. First read the rest of its output.

        `why` is added to the log of a command that did not run.
        """
        if command.done.is_set():
            return
        for reader in command.readers:
            reader.drain()
        if why is not None:
            command.log.write(Stream.STDERR, f"{why}\n".encode())
        command.exit_code = exit_code
        command.ended_at = time.monotonic()
        command.log.finish()
        if command.stdin is not None:
            command.stdin.close()
        for name in ("in", "out", "err", "cmd.sh"):
            self._fifos.remove(f"{command.number}.{name}")
        if all(reader.ended.done() for reader in command.readers):
            command.log.close()
        else:  # a background child has a stream open
            gathered = asyncio.gather(*(reader.ended for reader in command.readers))
            gathered.add_done_callback(lambda _: command.log.close())
        command.started.set()
        command.done.set()

    async def delete(self, grace: float) -> None:
        """End the shell's process tree and all followers, and remove the logs.

        `grace` is the time in seconds between SIGTERM and SIGKILL.
        """
        await self._shell.terminate(grace)
        await self.close()

    async def close(self) -> None:
        """Release the session's files and descriptors. Its processes have ended already."""
        self._ended = True
        self._feeder.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._feeder
        self._status.close()
        self._script.close()
        why = _NEVER_RAN if self._profile.reports_ended_shells else None
        for command in self.commands.values():
            self._finish(command, -1, why)
            for reader in command.readers:
                reader.close()
            command.log.close()
            command.log.forget()
        self._fifos.close()
        remove_tree(self._logs)
