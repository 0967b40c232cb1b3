"""The bookmark: the number of the latest message of an agent that the kernel has taken, in a file.

A kernel that takes the place of a crashed one continues behind the bookmark. So front ends get no message a
second time. The number is written before the message is passed on: a message that the crash overtakes in that
moment is lost, and none is repeated.
"""

from __future__ import annotations

import os
import stat
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from ..file_flags import BINARY, CLOSE_ON_EXEC, NO_FOLLOW, NON_BLOCKING, is_own

if TYPE_CHECKING:
    from pathlib import Path

# The agent's link id, and the number.
_ENTRY = struct.Struct("<16sQ")


class Bookmark:
    """The bookmark of one kernel. If its file cannot be used, it keeps nothing.

    path: the file. It may be in a directory where other users have files, too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._link = b""

    def begin(self, link: str) -> int | None:
        """Use the bookmark for the agent with this link id; return the number in it, or None for none."""
        self._link = link.encode()
        try:
            if self._descriptor is None:
                self._descriptor = _open(self._path)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            found, number = _ENTRY.unpack(os.read(self._descriptor, _ENTRY.size))
        except (OSError, struct.error):
            return None
        return int(number) if found == self._link else None

    def set(self, number: int) -> None:
        """Note that the kernel has taken the message with this number."""
        if self._descriptor is None:
            return
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            written = os.write(self._descriptor, _ENTRY.pack(self._link, number))
        except OSError:
            written = 0
        if written != _ENTRY.size:  # a number that is too low would repeat messages
            self.remove()

    def remove(self) -> None:
        """Remove the file if it is there and can be removed."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def _open(path: Path) -> int:
    """Open the user's own regular file, or make one. Raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | NO_FOLLOW | NON_BLOCKING | CLOSE_ON_EXEC | BINARY
    descriptor = os.open(path, flags, 0o600)
    status = os.fstat(descriptor)
    if is_own(status) and stat.S_ISREG(status.st_mode):
        return descriptor
    os.close(descriptor)
    raise PermissionError(f"{path} is not this user's file")
