"""Sessions: one bash each, fed one command at a time.

The bash reads its script from a pipe. For each command the server writes one line to it, which
evaluates the command with its streams on FIFOs made for it, and then reports the exit code
through the session's status FIFO. So cd, exports and functions persist, a command cannot eat the
next one, and nothing polls. `exit N` ends the bash, and the supervisor reports its status instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shlex
import shutil
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...wire.logs import Stream
from .. import failures, limits
from ..box.pipes import PipeReader, PipeWriter, open_fifo, widen
from .log import CommandLog

if TYPE_CHECKING:
    from pathlib import Path

    from ..box.supervisor import Child

# No braces: after an evaluated command with an unclosed quote, bash takes the next `{` for a program.
# `builtin` and `\\` because a command may define functions and aliases of these names.
_LINE = (
    "\\builtin eval {command} <{stdin} >{out} 2>{err}; \\builtin printf '%s %s\\n' {number} $? >{status}\n"
)
_LOST = "the session ended before this command could run"


@dataclass(eq=False)
class Command:
    """A command of a session; `exit_code` is `None` until it has ended."""

    id: str
    number: int
    command: str
    log: CommandLog
    is_async: bool
    echo: bool
    exit_code: int | None = None
    stdin: PipeWriter | None = None
    readers: tuple[PipeReader, ...] = ()
    started: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Session:
    """A bash in a sandbox and the commands that it was given.

    `shell` reads its script from the other end of the pipe `script`, which the session owns.
    `directory` holds the FIFOs, which the sandbox sees at `seen_as`; `logs` the logs, which it
    does not see.
    """

    def __init__(
        self, session_id: str, shell: Child, script: int, *, directory: Path, seen_as: str, logs: Path
    ) -> None:
        self.id = session_id
        self._shell = shell
        self._script = PipeWriter(script)
        self.commands: dict[str, Command] = {}
        self._directory = directory
        self._seen_as = seen_as
        self._logs = logs
        self._queue: asyncio.Queue[Command] = asyncio.Queue()
        self._current: Command | None = None
        self._partial = b""
        directory.mkdir(parents=True)
        logs.mkdir(parents=True)
        status = open_fifo(directory / "status", os.O_RDWR)  # also a writer: it never ends
        self._status = PipeReader(status, self._read_status)
        self._ended = False
        self._feeder = asyncio.create_task(self._feed())
        shell.exit.add_done_callback(self._on_exit)

    def submit(self, text: str, *, is_async: bool, echo: bool) -> Command:
        """Queue a command. Raises `ApiError` when the shell has ended or there are too many."""
        if self._ended:
            raise failures.untyped(
                "failed to execute command: bad request: failed to write command: write |1: broken pipe"
            )
        if len(self.commands) >= limits.COMMANDS:
            raise failures.too_many("commands in this session", limits.COMMANDS)
        number = len(self.commands) + 1
        log = CommandLog(self._logs / str(number))
        command = Command(str(uuid.uuid4()), number, text, log, is_async, echo)
        self.commands[command.id] = command
        self._queue.put_nowait(command)
        return command

    async def write_input(self, command: Command, data: str) -> None:
        """Give `data` to the stdin of an async command, and echo it into its log unless asked not to."""
        if command.exit_code is not None:
            raise failures.gone("command has already completed")
        text = data if data.endswith("\n") else data + "\n"
        if command.echo:
            command.log.write(Stream.STDOUT, text.encode())
        await command.started.wait()
        if command.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it ended meanwhile
                await command.stdin.write(text.encode())

    async def _feed(self) -> None:
        while True:
            command = await self._queue.get()
            if self._ended:
                self._finish(command, -1, _LOST)
                continue
            self._current = command
            try:
                line = self._open_streams(command)
                command.started.set()
                await self._script.write(line)
            except OSError as error:
                self._finish(command, -1, f"the command could not be started: {error.strerror}")
            await command.done.wait()

    def _open_streams(self, command: Command) -> bytes:
        number = command.number
        readers = []
        for name, stream in (("out", Stream.STDOUT), ("err", Stream.STDERR)):
            fd = open_fifo(self._directory / f"{number}.{name}", os.O_RDONLY)
            widen(fd)
            readers.append(PipeReader(fd, functools.partial(command.log.write, stream)))
        command.readers = tuple(readers)
        stdin = "/dev/null"  # a synchronous command's is at its end
        if command.is_async:
            command.stdin = PipeWriter(open_fifo(self._directory / f"{number}.in", os.O_RDWR))
            stdin = f"{self._seen_as}/{number}.in"
        return _LINE.format(
            command=shlex.quote(command.command.replace("\0", "")),
            stdin=shlex.quote(stdin),
            out=shlex.quote(f"{self._seen_as}/{number}.out"),
            err=shlex.quote(f"{self._seen_as}/{number}.err"),
            status=shlex.quote(f"{self._seen_as}/status"),
            number=number,
        ).encode("utf-8", "surrogateescape")

    def _read_status(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._partial = self._partial[-64:]
        for line in lines:
            number, _, code = line.partition(b" ")
            command = self._current
            if command is not None and number == b"%d" % command.number and code.isdigit():
                self._finish(command, int(code))

    def _on_exit(self, exited: asyncio.Future[int]) -> None:
        self._ended = True
        self._status.drain()
        code = exited.result()
        if self._current is not None:
            self._finish(self._current, 128 - code if code < 0 else code)
        self._script.close()
        while not self._queue.empty():
            self._finish(self._queue.get_nowait(), -1, _LOST)

    def _finish(self, command: Command, exit_code: int, why: str | None = None) -> None:
        """Record the end of `command`, once, when all that it printed is in its log."""
        if command.done.is_set():
            return
        for reader in command.readers:
            reader.drain()
        if why is not None:
            command.log.write(Stream.STDERR, f"{why}\n".encode())
        command.exit_code = exit_code
        command.log.finish()
        if command.stdin is not None:
            command.stdin.close()
        for name in ("in", "out", "err"):
            with contextlib.suppress(FileNotFoundError):
                (self._directory / f"{command.number}.{name}").unlink()
        left = sum(not reader.ended.done() for reader in command.readers)
        if left == 0:
            command.log.close()
        else:  # a background child still holds a stream
            gathered = asyncio.gather(*(reader.ended for reader in command.readers))
            gathered.add_done_callback(lambda _: command.log.close())
        command.started.set()
        command.done.set()

    async def delete(self, grace: float = limits.TERMINATE_GRACE) -> None:
        """End the shell and everything below it, let the followers go, and remove the logs."""
        await self._shell.terminate(grace)
        await self.close()

    async def close(self) -> None:
        """Release what the session holds in the server; its processes have ended or will be ended."""
        self._ended = True
        self._feeder.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._feeder
        self._status.close()
        self._script.close()
        for command in self.commands.values():
            self._finish(command, -1, _LOST)
            for reader in command.readers:
                reader.close()
            command.log.close()
        shutil.rmtree(self._directory, ignore_errors=True)
        shutil.rmtree(self._logs, ignore_errors=True)
