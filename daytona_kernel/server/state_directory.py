"""The server's own directory: locked while it lives, swept by the next server if it died."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "daytona-kernel-"
_LOCK = "lock"


class RootInUseError(Exception):
    """Another server uses this directory."""


class Root:
    """The directory `path`, private to this server until `remove`."""

    def __init__(self, path: Path) -> None:
        """Make and lock `path`. Raises `RootInUseError`."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self.sandboxes = path / "sandboxes"
        self._lock = _lock(path)
        if self._lock is None:
            raise RootInUseError(f"another server uses {path}")
        # What a server that died has left here is nobody's.
        shutil.rmtree(self.sandboxes, ignore_errors=True)
        self.sandboxes.mkdir(mode=0o700)

    @classmethod
    def temporary(cls) -> Root:
        """Make a fresh directory where the system keeps temporary files."""
        return cls(Path(tempfile.mkdtemp(prefix=_PREFIX)))

    def remove(self, *, whole: bool) -> None:
        """Remove the sandboxes, and with `whole` the directory itself."""
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


def sweep() -> list[Path]:
    """Remove the temporary roots whose servers are dead; return them."""
    swept = []
    for path in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):
            # One without a lock file is just being made, or not ours.
            if path.is_symlink() or path.stat().st_uid != os.getuid() or not (path / _LOCK).exists():
                continue
            lock = _lock(path)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)
                swept.append(path)
    return swept
