"""A folder of this machine in all boxes of a server, at its own path: the person's project.

What a program of the person runs or trusts by itself must stay as it is: names that start with a dot, such as
`.git` and `.vscode`, notebooks, and Python environments. A mount on such a name would not hold: a program
that saves a file replaces it, and the mount is gone. So the folder that has such a name is read-only, with
every folder on the way to it. A folder is writable if there is none of them in it or below it.

The writable folders are chosen once, when the server starts. All folders above them are read-only in every
box, so no box can put a link in the place of one. A second server cannot mount the same folder for writing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from ...wire.conventions import READ_ONLY, READ_WRITE

_NOTEBOOK = ".ipynb"
_ENVIRONMENT_MARK = "pyvenv.cfg"
# The server of a kernel that has just been shut down may still be ending.
_ENDING_SECONDS, _POLL_SECONDS = 4.0, 0.1
_MOST_FOLDERS = 200  # a mount each
# Other mounts of a box are at or below these.
_TAKEN = (
    *("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr", "/nix", "/boot", "/dev", "/etc"),
    *("/proc", "/run", "/sys", "/var", "/opt/daytona", "/opt/programs"),
)
_LAYOUT = ("/home/daytona", "/workspace", "/tmp")  # noqa: S108  # paths inside a sandbox


class FolderMount:
    """The mount of the folder `path`, an absolute path without links, as `READ_WRITE` or `READ_ONLY`.

    Raises `ValueError` with a sentence if the folder cannot be mounted.
    """

    def __init__(self, mode: str, path: str) -> None:
        if os.path.realpath(path) != path or not Path(path).is_dir():
            raise ValueError(f"The folder {path} does not exist, or its path has a link.")
        if any(f"{path}/".startswith(f"{each}/") for each in _TAKEN) or any(
            f"{each}/".startswith(f"{path.rstrip('/')}/") for each in (*_TAKEN, *_LAYOUT)
        ):
            raise ValueError(f"The folder {path} cannot be mounted: sandboxes have their own files there.")
        self.mode = mode
        self.path = path
        self.writable: list[str] = []
        if mode == READ_WRITE:
            self._lock(path)
            self.writable = writable_folders(path)
            if len(self.writable) > _MOST_FOLDERS:
                raise ValueError(
                    f"The folder {path} cannot be mounted for writing: its notebooks and hidden names are in "
                    f"so many folders that more than {_MOST_FOLDERS} mounts would be necessary."
                )

    @property
    def volume(self) -> dict[str, str]:
        """The mount as a volume in the API's JSON."""
        return {"volumeId": f"{self.mode}:{self.path}", "mountPath": self.path}

    @property
    def options(self) -> list[str]:
        """The options of bubblewrap."""
        if self.writable == [self.path]:
            return ["--bind", self.path, self.path]
        inner = (word for path in self.writable for word in ("--bind", path, path))
        return ["--ro-bind", self.path, self.path, *inner]

    def _lock(self, path: str) -> None:
        """Keep other servers from mounting the folder for writing, as long as this process lives."""
        self._held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        deadline = time.monotonic() + _ENDING_SECONDS
        while not _take(self._held) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if not _take(self._held):
            os.close(self._held)
            raise ValueError(
                f"Another kernel has the folder {path} mounted for writing. Shut that one down, or set "
                f"project to {READ_ONLY} for one of them."
            )


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def writable_folders(root: str) -> list[str]:
    """Return the outermost folders with nothing protected in them or below, `root` among them."""
    try:
        whole, inner = _look(root)
    except RecursionError:
        return []
    return [root] if whole else inner


def _look(path: str) -> tuple[bool, list[str]]:
    """Return whether nothing in a folder is protected, and else its outermost writable folders."""
    whole, found = True, []
    with contextlib.ExitStack() as stack:
        try:
            entries = list(stack.enter_context(os.scandir(path)))
        except OSError:
            return False, []
        for entry in entries:
            if _is_protected(entry):
                whole = False
            elif entry.is_dir(follow_symlinks=False):
                inner_whole, inner = _look(entry.path)
                whole = whole and inner_whole
                found += [entry.path] if inner_whole else inner
    return whole, found


def _is_protected(entry: os.DirEntry[str]) -> bool:
    name = entry.name.lower()
    if name.startswith(".") or name.endswith(_NOTEBOOK):
        return True
    return entry.is_dir(follow_symlinks=False) and os.path.lexists(f"{entry.path}/{_ENVIRONMENT_MARK}")
