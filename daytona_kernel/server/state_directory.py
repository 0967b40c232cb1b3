"""The state directory of a server: locked while the server runs, removed by a later one if it was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "daytona-kernel-"
_LOCK = "lock"


class StateDirectoryInUseError(Exception):
    """Another server uses the directory."""


class StateDirectory:
    """The directory `path`, which belongs to this server until `remove`."""

    def __init__(self, path: Path) -> None:
        """Create and lock `path`. Raises `StateDirectoryInUseError`."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self.sandboxes = path / "sandboxes"
        self._lock = _lock(path)
        if self._lock is None:
            raise StateDirectoryInUseError(f"another server uses {path}")
        # A killed server may have left sandboxes here. Nothing can use them any more.
        shutil.rmtree(self.sandboxes, ignore_errors=True)
        self.sandboxes.mkdir(mode=0o700)

    @classmethod
    def temporary(cls) -> StateDirectory:
        """Create a state directory among the system's temporary files."""
        return cls(Path(tempfile.mkdtemp(prefix=_PREFIX)))

    def remove(self, *, whole: bool) -> None:
        """Remove the sandboxes; with `whole`, also the directory itself."""
        shutil.rmtree(self.path if whole else self.sandboxes, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _lock(path: Path) -> int | None:
    fd = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def remove_abandoned() -> list[Path]:
    """Remove the temporary state directories of servers that are dead. Return the removed paths."""
    removed = []
    for path in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):
            # A directory without a lock file is still being created, or is not a server's.
            if path.is_symlink() or path.stat().st_uid != os.getuid() or not (path / _LOCK).exists():
                continue
            lock = _lock(path)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)
                removed.append(path)
    return removed
