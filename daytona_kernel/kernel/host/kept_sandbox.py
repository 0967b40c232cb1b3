"""The sandbox that is kept for a notebook: a file tells the notebook's next kernel where it goes on.

The file has the form of a handover, with what opens the interpreter, so it is for its owner only and in no
label of the sandbox. It names the server of the API, and a kernel of another account does not take it. A
kernel holds the lock beside the file while it lives, so that no second kernel of the notebook takes the
sandbox of the first. The system drops the lock of a kernel that was killed.

This module imports only the standard library, because it is read before anything else is imported.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ...file_flags import CLOSE_ON_EXEC, NO_FOLLOW, NON_BLOCKING, is_own
from ...settings.notebook import FILE_VARIABLE
from .handover import Handover, StoredHandover

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FOLDER = "daytona-kernel/kept"


def notebook_of(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the path of the notebook that a kernel is for; None for a kernel without one."""
    named = environ.get(FILE_VARIABLE, "")
    return named if named.endswith(".ipynb") and Path(named).is_absolute() else None


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the files, below Jupyter's folder for data."""
    if named := environ.get("JUPYTER_DATA_DIR"):
        return Path(named) / _FOLDER
    data = environ.get("XDG_DATA_HOME")
    return Path(data or Path("~/.local/share").expanduser()) / "jupyter" / _FOLDER


class KeptFile(StoredHandover):
    """The file of one notebook at one server, and its lock.

    notebook: the path of the notebook. api_url: the URL of the API.
    """

    def __init__(self, notebook: str, api_url: str, environ: Mapping[str, str] = os.environ) -> None:
        # A folder may be reached through links.
        real = os.path.realpath(notebook)
        name = hashlib.sha256(f"{real}\0{api_url.rstrip('/')}".encode()).hexdigest()[:32]
        super().__init__(folder(environ) / f"{name}.json")
        self._lock: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process holds the notebook's sandbox."""
        return self._lock is not None

    def hold(self) -> bool:
        """Hold the notebook's sandbox for this process; return False if it cannot."""
        if self._lock is not None:
            return True
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | NO_FOLLOW | NON_BLOCKING | CLOSE_ON_EXEC
            descriptor = os.open(self.path.with_suffix(".lock"), flags, 0o600)
        except OSError:
            return False
        try:
            if not is_own(os.fstat(descriptor)):
                raise PermissionError
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def close(self) -> None:
        """Let another process hold the sandbox."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class KeptSandbox:
    """The sandbox that is kept for the notebook of this kernel.

    is_taken: whether there is one, and another kernel of the notebook uses it.
    """

    def __init__(self, notebook: str | None) -> None:
        self._notebook = notebook
        self._file: KeptFile | None = None
        self.is_taken = False

    @property
    def is_held(self) -> bool:
        """Whether the next kernel of the notebook finds the sandbox that `keep` has named last."""
        return self._file is not None and self._file.is_held

    def find(self, api_url: Callable[[], str | None]) -> Handover | None:
        """Return what was kept, and hold it; None if nothing was, or if it is taken.

        api_url: returns the URL of the API; None for the embedded server of a kernel, which keeps nothing.
        """
        if self._notebook is None or not folder().is_dir() or (url := api_url()) is None:
            return None
        file = KeptFile(self._notebook, url)
        if not file.path.exists():
            return None
        if not file.hold():
            self.is_taken = True
            return None
        self._file = file
        found = file.read()
        return found if found.sandbox_id else None

    def keep(self, handover: Handover, api_url: str) -> None:
        """Keep a sandbox for the notebook's next kernel, unless another kernel holds the notebook's."""
        if self._notebook is not None:
            self._file = self._file or KeptFile(self._notebook, api_url)
            if self._file.hold():
                self._file.write(handover)

    def forget(self) -> None:
        """Keep no sandbox, if this kernel has held one."""
        if self._file is not None and self._file.is_held:
            self._file.remove()
            self._file.close()


def _lock(descriptor: int) -> None:
    """Lock a file for this process. Raises OSError if another process has locked it."""
    with suppress(ImportError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
