"""Pipes between the server and the children: read as bytes come, written as they are taken."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from .. import limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def widen(fd: int) -> None:
    """Give the pipe more room, as far as the system lets us."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, limits.PIPE_BYTES)


def open_fifo(path: Path, flags: int) -> int:
    """Make a FIFO at `path` and open it; raises `OSError` if something else was put there meanwhile."""
    os.mkfifo(path, 0o600)
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{path} is no FIFO")
    return fd


class PipeReader:
    """Hands over what comes out of the descriptor `fd`, which it owns, and then resolves `ended`."""

    def __init__(self, fd: int, on_data: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._on_data = on_data
        self.ended: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self.read)

    def read(self) -> bool:
        """Read once; return False when nothing was there."""
        if self.ended.done():
            return False
        try:
            data = os.read(self._fd, limits.READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # the other end of a terminal has closed
        if not data:
            self.close()
            return False
        self._on_data(data)
        return True

    def drain(self) -> None:
        """Read all that is in the pipe now."""
        # What is in the pipe at this moment is at most its size; a writer that goes on cannot hold us.
        for _ in range(2 + limits.PIPE_BYTES // 4096):
            if not self.read():
                return

    def pause(self) -> None:
        """Leave what comes in the pipe, whose writer waits when it is full."""
        if not self.ended.done():
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        if not self.ended.done():
            self._loop.add_reader(self._fd, self.read)

    def close(self) -> None:
        if not self.ended.done():
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self.ended.set_result(None)


class PipeWriter:
    """Writes to the descriptor `fd`, which it owns, one write after the other."""

    def __init__(self, fd: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd: int | None = fd
        self._turn = asyncio.Lock()
        self._writable: asyncio.Future[None] | None = None
        os.set_blocking(fd, False)

    async def write(self, data: bytes) -> None:
        """Write all of `data`, as fast as it is read; raises `BrokenPipeError` once closed."""
        async with self._turn:
            view = memoryview(data)
            while view:
                if self._fd is None:
                    raise BrokenPipeError
                try:
                    view = view[os.write(self._fd, view) :]
                except BlockingIOError:
                    self._writable = self._loop.create_future()
                    self._loop.add_writer(self._fd, self._wake)
                    await self._writable

    def _wake(self) -> None:
        if self._fd is not None:
            self._loop.remove_writer(self._fd)
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def close(self) -> None:
        if self._fd is not None:
            self._wake()
            os.close(self._fd)
            self._fd = None
