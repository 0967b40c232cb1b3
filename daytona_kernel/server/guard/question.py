"""A system call of a process in the sandbox that waits until the guard has answered.

Its arguments are read from the process, which may be hostile and may change them at any time. So each is read
once, and a process is used only while the call still waits: otherwise its id may be another one's.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CONTINUE = 1  # a flag of an answer: the kernel carries the call out
AT_FDCWD = -100

_RECEIVE, _SEND, _IS_VALID, _ADD = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103
_NOTIFICATION, _ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_AND_SEND = 2  # a flag of _ADD
_GET_FD = 438
_PATH_BYTES = 4096
_PAGE = 4096
_AT_NOFOLLOW, _AT_EMPTY_PATH = 0x100, 0x1000

_libc = ctypes.CDLL(None, use_errno=True)


class Question:
    """A call of a process in the sandbox that waits for its answer. All methods raise `OSError`."""

    def __init__(self, listener: int) -> None:
        question = bytearray(_NOTIFICATION.size)
        fcntl.ioctl(listener, _RECEIVE, question)
        self._listener = listener
        self._id, self.task, _, self.call, _, _, *self.arguments = _NOTIFICATION.unpack(question)

    def number(self, position: int) -> int:
        """Return an argument that is an `int`."""
        return ctypes.c_int(self.arguments[position] & 0xFFFFFFFF).value

    def require_valid(self) -> None:
        """Raise `OSError` if the process has ended: its id may be another one's now."""
        fcntl.ioctl(self._listener, _IS_VALID, struct.pack("=Q", self._id))

    def answer(self, error: int, flags: int = 0) -> None:
        """Let the call return 0, or fail with `error`. With `CONTINUE`, the kernel carries it out."""
        with contextlib.suppress(OSError):  # the process has ended
            fcntl.ioctl(self._listener, _SEND, _ANSWER.pack(self._id, 0, -error, flags))

    def answer_with(self, descriptor: int, flags: int) -> None:
        """Let the call return a copy of the descriptor."""
        added = struct.pack("=QIIII", self._id, _AND_SEND, descriptor, 0, flags & os.O_CLOEXEC)
        fcntl.ioctl(self._listener, _ADD, added)

    @contextlib.contextmanager
    def copied(self, position: int) -> Iterator[int]:
        """Yield a copy of the descriptor that is the argument at `position`."""
        process = os.pidfd_open(_process_of(self.task))
        try:
            copy = int(_libc.syscall(_GET_FD, process, self.number(position), 0))
            if copy < 0:
                raise OSError(ctypes.get_errno(), "pidfd_getfd")
            try:
                self.require_valid()
                yield copy
            finally:
                os.close(copy)
        finally:
            os.close(process)

    def content(self, position: int, size: int) -> bytes:
        """Return what the argument at `position` points to."""
        memory = os.open(f"/proc/{self.task}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.require_valid()
            return os.pread(memory, size, self.arguments[position])
        except OverflowError:
            raise OSError(errno.EFAULT, "address") from None
        finally:
            os.close(memory)

    def text(self, position: int) -> bytes:
        """Return the string that the argument at `position` points to."""
        found = b""
        while b"\0" not in found and len(found) < _PATH_BYTES:
            start = self.arguments[position] + len(found)
            self.arguments.append(start)
            found += self.content(len(self.arguments) - 1, _PAGE - start % _PAGE)
        text, end, _ = found.partition(b"\0")
        if not end or len(text) >= _PATH_BYTES:
            raise OSError(errno.ENAMETOOLONG, "path")
        return text

    @contextlib.contextmanager
    def file(self, directory: int | None, path: int | None, flags: int) -> Iterator[int]:
        """Yield a descriptor of the file that a call names; it is only for its place and attributes.

        `directory` and `path` are the positions of the arguments, if the call has them. `flags` are `AT_*`.
        """
        name = b"" if path is None or not self.arguments[path] else self.text(path)
        if not name:
            if directory is None or not (path is None or not self.arguments[path] or flags & _AT_EMPTY_PATH):
                raise FileNotFoundError(errno.ENOENT, "path")
            with self.copied(directory) as copy:
                yield copy
            return
        start = AT_FDCWD if directory is None else self.number(directory)
        no_follow = os.O_NOFOLLOW if flags & _AT_NOFOLLOW else 0
        opened = os.open(
            as_seen_by(self.task, start, os.fsdecode(name)), os.O_PATH | os.O_CLOEXEC | no_follow
        )
        try:
            self.require_valid()
            yield opened
        finally:
            os.close(opened)


def _process_of(task: int) -> int:
    with open(f"/proc/{task}/status", "rb") as file:
        for line in file:
            if line.startswith(b"Tgid:"):
                return int(line.split()[1])
    raise ProcessLookupError(task)


def as_seen_by(task: int, directory: int, path: str) -> str:
    """Return a path that leads this process where `path` leads the process `task` from `directory`."""
    for own in ("/proc/self/", "/proc/thread-self/"):
        if path.startswith(own):
            return f"/proc/{task}/{path.removeprefix(own)}"
    start = "cwd" if directory == AT_FDCWD else f"fd/{directory}"
    return path if path.startswith("/") else f"/proc/{task}/{start}/{path}"
