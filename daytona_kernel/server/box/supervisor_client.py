"""The server's end of a supervisor: its requests for children and sockets, and the reports that come back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import marshal
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import failures, limits
from ..inside import supervisor as program
from .box_sockets import BoxSockets
from .child import Child, new_future, stopped
from .orphans import end_orphans

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from .account import Account
    from .control_group import ControlGroup

SUPERVISOR_PROGRAM = Path(program.__file__)
supervisors: set[int] = set()  # the pids of all supervisors that this process has started
_PACKET_ROOM = program.PACKET - 64
_REPORTS_AT_ONCE = 64


def _start_process(command: list[str], inherited: Sequence[int], log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        pass_fds=inherited,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env={},
        cwd="/",
        start_new_session=True,
    )


class SupervisorClient:
    """A running supervisor.

    `lost` resolves when the supervisor has ended, because it was closed or killed. `group` has all of its
    processes; `None` if there is none.
    """

    def __init__(
        self,
        channel: socket.socket,
        process: subprocess.Popen[bytes],
        account: Account | None,
        group: ControlGroup | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._process = process
        self._account = account
        self.group = group
        supervisors.add(process.pid)
        self._children: dict[int, Child] = {}
        self._numbers = itertools.count(1)
        self._sockets = BoxSockets(self.send)
        self._outbox: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._ready = new_future()
        self.lost = new_future()
        self.on_close: Callable[[], Awaitable[None]] | None = None
        channel.setblocking(False)
        self._loop.add_reader(channel.fileno(), self._receive)
        self._process_ended = os.pidfd_open(process.pid)
        self._loop.add_reader(self._process_ended, self._dismiss)

    @classmethod
    def start(
        cls,
        prefix: Sequence[str],
        program: str,
        rlimits: str,
        log: int,
        *,
        inherited: Sequence[int] = (),
        account: Account | None = None,
        group: ControlGroup | None = None,
        python: Sequence[str] | None = None,
    ) -> SupervisorClient:
        """Start a supervisor. Use it after `wait_until_ready`.

        `prefix` is the command that isolates it, or is empty. `program` is the path of its program, as the
        isolated process sees it. `rlimits` are its resource limits. `log` is a descriptor for its errors.
        `inherited` are further descriptors for the process. `account` is its user, if that is not this one.
        `group` is for all of its processes. `python` is the command of Python inside; `None` means the same
        as outside.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            words = python or [getattr(sys, "_base_executable", None) or sys.executable]
            command = [*prefix, *words, "-I", "-S", program, str(theirs.fileno()), rlimits]
            process = _start_process(command, [theirs.fileno(), *inherited], log)
        return cls(ours, process, account, group)

    async def wait_until_ready(self) -> None:
        """Wait until the supervisor reports and is in its group. It has no children before.

        Raises `RuntimeError` if it does not report in time, and `OSError` if it does not get into the group.
        """
        # The kernel needs more than 10 ms to move the first process, in which the supervisor starts.
        await asyncio.gather(self._wait_for_report(), self._enter_group())
        await self._enter_group()

    async def _enter_group(self) -> None:
        if self.group is not None:
            await asyncio.to_thread(self.group.take, self.pid)

    async def _wait_for_report(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.SUPERVISOR_START_TIMEOUT):
                await asyncio.wait([self._ready, self.lost], return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done():
            raise RuntimeError("the sandbox's supervisor did not start")

    @property
    def pid(self) -> int:
        """The process that the server started: the supervisor, or the bubblewrap around it."""
        return self._process.pid

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        stdio: Sequence[int] = (),
        terminal: tuple[int, int] | None = None,
    ) -> Child:
        """Start `argv` with the descriptors `stdio`, or on a new terminal of (rows, columns).

        Raises `OSError` with the errno in the sandbox if the program or the directory does not exist, and
        `ApiError` 400 if the sandbox has stopped.
        """
        return await self._start((program.SPAWN, list(argv), dict(env), cwd, terminal), stdio)

    @property
    def first_pid(self) -> int:
        """The supervisor's own pid outside, also if bubblewrap is around it. Raises `ProcessLookupError`."""
        if self._account is None:
            return self.pid
        inside = program.children_of(self.pid)
        if not inside:
            raise ProcessLookupError(self.pid)
        return inside[0]

    async def connect(self, port: int) -> socket.socket:
        """Return a connection to `port` of the box's loopback. Raises `OSError` if nothing listens there."""
        return await self._sockets.connect(port)

    async def spawn_worker(self, source: str, channel: int, *, env: Mapping[str, str], cwd: str) -> Child:
        """Run the Python program `source` in a fork of the supervisor, with `channel` as its stdin."""
        return await self._start((program.WORKER, source, cwd, dict(env)), [channel])

    async def _start(self, request: tuple[Any, ...], fds: Sequence[int]) -> Child:
        if self.lost.done():
            raise stopped()
        child = Child(next(self._numbers), self.send)
        self._children[child.number] = child
        if self._account is not None:
            for fd in fds:
                self._account.give_pipe(fd)
        kind, *arguments = request
        self.send((kind, child.number, *arguments), fds)
        for seconds in (limits.SUPERVISOR_ROUSE_TIMEOUT, limits.SUPERVISOR_ANSWER_TIMEOUT):
            await asyncio.wait([child.started], timeout=seconds)
            if child.started.done():
                child.started.result()
                return child
            self._rouse()
        raise failures.untyped("the sandbox does not answer")

    def _rouse(self) -> None:
        """Continue a supervisor that someone has stopped by a signal. Another one takes no notice."""
        if self.lost.done():
            return
        for pid in (self.pid, *program.children_of(self.pid)):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGCONT)

    def send(self, request: tuple[Any, ...], fds: Sequence[int] = ()) -> None:
        """Queue a request. The descriptors are duplicated, so the caller may close them at once."""
        if self.lost.done():
            return
        packet = marshal.dumps(request)
        sent = [os.dup(fd) for fd in fds]
        if len(packet) > _PACKET_ROOM:
            file = os.memfd_create("request", os.MFD_CLOEXEC)
            with open(file, "wb", closefd=False) as writer:
                writer.write(packet)
            sent.insert(0, file)
            packet = program.IN_FILE
        self._outbox.append((packet, tuple(sent)))
        self._flush()

    def _flush(self) -> None:
        while self._outbox:
            packet, fds = self._outbox[0]
            try:
                socket.send_fds(self._channel, [packet], fds)
            except BlockingIOError:
                self._loop.add_writer(self._channel.fileno(), self._flush)
                return
            except OSError:
                pass  # the supervisor has ended; `_receive` notices it
            self._outbox.popleft()
            for fd in fds:
                os.close(fd)
        self._loop.remove_writer(self._channel.fileno())

    def _receive(self) -> None:
        for _ in range(_REPORTS_AT_ONCE):
            try:
                packet, fds = program.receive(self._channel, program.REPORT.size, 1)
            except BlockingIOError:
                return
            except OSError:
                packet, fds = b"", []
            if len(packet) != program.REPORT.size:
                self._lose()
                return
            kind, number, value = program.REPORT.unpack(packet)
            self._take(kind, number, value, fds)
            for fd in fds:
                os.close(fd)

    def _take(self, kind: int, number: int, value: int, fds: list[int]) -> None:
        child = self._children.get(number)
        if kind == program.OPENED:
            self._sockets.take(number, value, fds)
        elif kind == program.READY and not self._ready.done():
            self._ready.set_result(value)
        elif child is not None and child.take(kind, value, fds):
            del self._children[number]

    def _lose(self) -> None:
        if self.lost.done():
            return
        self._loop.remove_reader(self._channel.fileno())
        self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        for _, fds in self._outbox:
            for fd in fds:
                os.close(fd)
        self._outbox.clear()
        self.lost.set_result(0)
        children, self._children = self._children, {}
        for child in children.values():
            child.end()
        self._sockets.close()

    def _dismiss(self) -> None:
        """Make the supervisor end. A supervisor outlives a bubblewrap that was killed."""
        self._rouse()
        if self._process_ended >= 0:
            self._loop.remove_reader(self._process_ended)
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)

    async def close(self) -> None:
        """End all processes of the sandbox. Return when they have ended."""
        self._dismiss()
        if self.group is not None:
            await asyncio.to_thread(self.group.kill)
        # The supervisor exits after all other processes, and its end of the channel closes when it exits.
        done, _ = await asyncio.wait([self.lost], timeout=limits.SUPERVISOR_END_TIMEOUT)
        if not done:
            self._process.kill()
            await asyncio.wait([self.lost], timeout=limits.SUPERVISOR_END_TIMEOUT)
            self._lose()
        await asyncio.to_thread(self._process.wait)
        if self._process_ended >= 0:
            os.close(self._process_ended)
            self._process_ended = -1
        supervisors.discard(self._process.pid)
        if self.group is not None and not await asyncio.to_thread(self.group.remove):
            sys.stderr.write(f"control group {self.group.path}: its processes do not end\n")
        if self.on_close is not None:
            await self.on_close()
        # If the supervisor was killed, this process has inherited its children.
        end_orphans(supervisors)
