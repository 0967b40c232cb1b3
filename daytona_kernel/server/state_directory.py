"""The state directory of a server: locked while the server runs, removed by a later one if it was killed.

It has the sandboxes' files, and the name of the server's control group, which goes with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from .box.control_group import remove_groups
from .removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "daytona-kernel-"
_LOCK = "lock"
_SANDBOXES = "sandboxes"
_GROUPS = "control-group"  # the record of the groups
# The processes of a killed server's sandboxes end soon. Until then they may add files.
_SWEEPS = 10
_SWEEP_PAUSE = 0.5  # seconds


class StateDirectoryInUseError(Exception):
    """Another server uses the directory."""


class StateDirectory:
    """The directory `path`, which belongs to this server until `remove`."""

    def __init__(self, path: Path) -> None:
        """Create and lock `path`. Raises `StateDirectoryInUseError`."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self.sandboxes = path / _SANDBOXES
        self.groups = path / _GROUPS
        self._lock = _create_lock(path) or _lock(path)
        if self._lock is None:
            raise StateDirectoryInUseError(f"another server uses {path}")
        # A killed server may have left sandboxes here. Nothing can use them any more.
        _remove_sandboxes(path)
        self.sandboxes.mkdir(mode=0o700, exist_ok=True)

    @classmethod
    def temporary(cls) -> StateDirectory:
        """Create a state directory among the system's temporary files."""
        return cls(Path(tempfile.mkdtemp(prefix=_PREFIX)))

    def remove(self, *, whole: bool) -> None:
        """Remove the sandboxes; with `whole`, also the directory itself. Say what could not be removed."""
        removed = _remove_whole(self.path) if whole else _remove_sandboxes(self.path)
        if not removed:
            sys.stderr.write(f"Some files of sandboxes could not be removed from {self.path}\n")
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _create_lock(path: Path) -> int | None:
    """Lock a state directory that has no lock file. Returns None if it has one.

    The file is locked before it has its name: a server that starts meanwhile removes what is not locked.
    """
    new = path / f"{_LOCK}-{uuid.uuid4().hex}"
    fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.link(new, path / _LOCK)
    except FileExistsError:
        os.close(fd)
        return None
    finally:
        new.unlink()
    return fd


def _lock(path: Path) -> int | None:
    """Lock a state directory. Returns None if another process has the lock, or has removed the file."""
    fd = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), (path / _LOCK).stat()):
            return fd
    os.close(fd)
    return None


def _remove_sandboxes(path: Path) -> bool:
    return remove_groups(path / _GROUPS) and remove_tree(path / _SANDBOXES)


def _remove_whole(path: Path) -> bool:
    """Remove a state directory, the lock last: a later server tries again only where there is a lock."""
    return remove_groups(path / _GROUPS) and remove_tree(path, keep={_LOCK}) and remove_tree(path)


def remove_abandoned() -> list[Path]:
    """Remove the temporary state directories of servers that are dead. Return the removed paths.

    A directory that cannot be removed in full keeps its lock, so that the next server tries again.
    """
    removed = []
    for path in abandoned():
        if _remove_whole(path):
            removed.append(path)
        else:
            sys.stderr.write(f"Some files of sandboxes could not be removed from {path}\n")
    return removed


def sweep() -> bool:
    """Remove the temporary state directories of dead servers; return whether none is left."""
    for _ in range(_SWEEPS):
        remove_abandoned()
        if not any(abandoned()):
            return True
        time.sleep(_SWEEP_PAUSE)
    return False


def abandoned() -> Iterator[Path]:
    """Yield the temporary state directories of servers that are dead. Each is locked until the next."""
    for path in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):
            # A directory without a lock file is still being created, or is not a server's.
            if path.is_symlink() or path.stat().st_uid != os.getuid() or not (path / _LOCK).exists():
                continue
            lock = _lock(path)
            if lock is not None:
                try:
                    yield path
                finally:
                    os.close(lock)
