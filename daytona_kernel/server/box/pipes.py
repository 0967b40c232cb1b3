"""Pipes between the server and the children, read and written on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from .. import limits

if TYPE_CHECKING:
    from collections.abc import Callable


def widen(fd: int) -> None:
    """Enlarge the pipe's buffer, if the system allows it."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, limits.PIPE_BYTES)


class FifoDirectory:
    """A new directory called `name` in the directory of the descriptor `parent`, for FIFOs and scripts.

    Without isolation, a sandbox may put links in the place of anything here. So everything is reached from
    descriptors that were opened at the start, and no link is followed.
    """

    def __init__(self, parent: int, name: str) -> None:
        os.mkdir(name, 0o700, dir_fd=parent)
        self._parent = parent
        self._name = name
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd: int | None = os.open(name, flags, dir_fd=parent)
        self._give_to_user(self._fd)

    def make(self, name: str, flags: int) -> int:
        """Make a FIFO and open it. Raises `OSError`, also if another file takes its place in between."""
        os.mkfifo(name, 0o600, dir_fd=self._fd)
        fd = os.open(name, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EEXIST, "another file took the place of a pipe")
        self._give_to_user(fd)
        return fd

    def write(self, name: str, content: bytes) -> None:
        """Write a new file, which the sandbox may read. Raises `OSError`."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, 0o600, dir_fd=self._fd)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            self._give_to_user(fd)

    def _give_to_user(self, fd: int) -> None:
        owner = os.fstat(self._parent)
        if owner.st_uid != os.getuid():  # the server runs as root, and the box does not
            os.chown(fd, owner.st_uid, owner.st_gid)

    def remove(self, name: str) -> None:
        """Remove a FIFO or a file, if it is there."""
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._fd)

    def close(self) -> None:
        """Remove the directory, if it is empty, and close it. The removal of the box removes what is left."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            with contextlib.suppress(OSError):
                os.rmdir(self._name, dir_fd=self._parent)


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
