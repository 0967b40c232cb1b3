"""Folders of this machine in which a download writes, so that no link leads it elsewhere.

Where the system can, a folder is an open descriptor, and names are relative to it. Elsewhere, as on Windows,
it is a path, each step of which is looked at before it is used.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from ...file_flags import BINARY, CLOSE_ON_EXEC, DIRECTORY, NO_FOLLOW

_FOLDER = os.O_RDONLY | DIRECTORY | CLOSE_ON_EXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | CLOSE_ON_EXEC | BINARY


class Folder(Protocol):
    """A folder. All names are those of entries directly in it. Each method raises OSError."""

    def create(self, name: str, mode: int) -> int:
        """Create a file; return its descriptor."""
        ...

    def link(self, target: str, name: str) -> None:
        """Create a symbolic link."""
        ...

    def rename(self, name: str, new: str) -> None:
        """Rename an entry. It replaces a file of the new name."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file or a link."""
        ...

    def has(self, name: str) -> bool:
        """Return whether there is an entry, which may be a link to nothing."""
        ...

    def enter(self, name: str) -> Folder:
        """Return the folder of that name, which is created if it is missing. A link is an error."""
        ...

    def close(self) -> None:
        """Close the folder."""
        ...


def open_folder(path: str) -> Folder:
    """Return the folder at a path, which may lead through links. Raises OSError."""
    needed = {os.open, os.mkdir, os.rename, os.symlink, os.unlink, os.stat}
    if needed <= os.supports_dir_fd:
        return OpenedFolder(os.open(path, _FOLDER))
    return NamedFolder(Path(path))


class OpenedFolder:
    """A folder that is an open descriptor; see Folder."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def create(self, name: str, mode: int) -> int:
        """See Folder."""
        return os.open(name, _NEW_FILE, mode, dir_fd=self._descriptor)

    def link(self, target: str, name: str) -> None:
        """See Folder."""
        os.symlink(target, name, dir_fd=self._descriptor)

    def rename(self, name: str, new: str) -> None:
        """See Folder."""
        os.rename(name, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """See Folder."""
        os.unlink(name, dir_fd=self._descriptor)

    def has(self, name: str) -> bool:
        """See Folder."""
        try:
            os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def enter(self, name: str) -> OpenedFolder:
        """See Folder."""
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=self._descriptor)
        return OpenedFolder(os.open(name, _FOLDER | NO_FOLLOW, dir_fd=self._descriptor))

    def close(self) -> None:
        """See Folder."""
        os.close(self._descriptor)


class NamedFolder:
    """A folder that is a path; see Folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, name: str, mode: int) -> int:
        """See Folder."""
        return os.open(self._path / name, _NEW_FILE, mode)

    def link(self, target: str, name: str) -> None:
        """See Folder."""
        (self._path / name).symlink_to(target)

    def rename(self, name: str, new: str) -> None:
        """See Folder."""
        (self._path / name).replace(self._path / new)

    def remove(self, name: str) -> None:
        """See Folder."""
        (self._path / name).unlink()

    def has(self, name: str) -> bool:
        """See Folder."""
        return os.path.lexists(self._path / name)

    def enter(self, name: str) -> NamedFolder:
        """See Folder."""
        inner = self._path / name
        with suppress(FileExistsError):
            inner.mkdir()
        status = inner.lstat()
        # On Windows, a junction leads elsewhere, too.
        leads_elsewhere = getattr(status, "st_file_attributes", 0) & stat.FILE_ATTRIBUTE_REPARSE_POINT
        if not stat.S_ISDIR(status.st_mode) or leads_elsewhere:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(inner))
        return NamedFolder(inner)

    def close(self) -> None:
        """See Folder."""
