"""Pipes between the server and the children, read and written on the event loop."""

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
    """Enlarge the pipe's buffer, if the system allows it."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, limits.PIPE_BYTES)


def make_shared_directory(path: Path) -> None:
    """Make a directory inside one of the box's user, which then belongs to that user, too."""
    path.mkdir(mode=0o700)
    _give_to_owner_of(path.parent, path)


def _give_to_owner_of(directory: Path, file: Path | int) -> None:
    owner = directory.stat()
    if owner.st_uid != os.getuid():  # the server runs as root, and the box does not
        os.chown(file, owner.st_uid, owner.st_gid)


def open_fifo(path: Path, flags: int) -> int:
    """Make a FIFO at `path` and open it. Raises `OSError` if another file takes its place in between."""
    os.mkfifo(path, 0o600)
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{path} is not a FIFO")
    _give_to_owner_of(path.parent, fd)
    return fd


class PipeReader:
    """A reader of the descriptor `fd`, which it owns. `ended` resolves at the end of the input."""

    def __init__(self, fd: int, on_data: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        self._on_data = on_data
        self.ended: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self.read)

    def read(self) -> bool:
        """Read once. Return False if there is nothing to read."""
        if self.ended.done():
            return False
        try:
            data = os.read(self._fd, limits.READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # the other end of a terminal is closed
        if not data:
            self.close()
            return False
        self._on_data(data)
        return True

    def drain(self) -> None:
        """Read everything that is in the pipe now."""
        # A pipe contains at most its size. The bound keeps a child that never stops writing from blocking us.
        for _ in range(2 + limits.PIPE_BYTES // 4096):
            if not self.read():
                return

    def pause(self) -> None:
        """Stop reading. When the pipe is full, its writer waits."""
        if not self.ended.done():
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Read again."""
        if not self.ended.done():
            self._loop.add_reader(self._fd, self.read)

    def close(self) -> None:
        """Close the descriptor, and resolve `ended`."""
        if not self.ended.done():
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self.ended.set_result(None)


class PipeWriter:
    """A writer to the descriptor `fd`, which it owns. It finishes each write before it starts the next."""

    def __init__(self, fd: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd: int | None = fd
        self._lock = asyncio.Lock()
        self._writable: asyncio.Future[None] | None = None
        os.set_blocking(fd, False)

    async def write(self, data: bytes) -> None:
        """Write all of `data`, no faster than it is read. Raises `BrokenPipeError` after `close`."""
        async with self._lock:
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
        """Close the descriptor. Writes that wait raise `BrokenPipeError`."""
        if self._fd is not None:
            self._wake()
            os.close(self._fd)
            self._fd = None
