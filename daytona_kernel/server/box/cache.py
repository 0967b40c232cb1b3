"""Directories that servers make once, keep in the person's cache directory, and show to sandboxes.

A kept directory is used until a file changes from which it was made. The comparison takes a millisecond;
making a directory may take tenths of a second. A server locks the directories that it uses. When it makes a
new one, it removes those of the same kind that were unused for the longest time. Only servers write here;
sandboxes see the directories read-only.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_UNUSED = 4  # how many of a kind stay, for other Python environments, although no server uses them
_STATE = "state.json"
_held: dict[str, int] = {}  # the directories that this process uses, and the descriptors of their locks
_one_at_a_time = threading.Lock()

Changes = list[tuple[str, int]]


def kept_directory(kind: str, about: list[Any], make: Callable[[str], Changes], fallback: str) -> str:
    """Return a directory that `make` has filled, now or for an earlier server.

    `make` is given a new directory. It returns the paths from which it made the contents, each with the time
    of its last change in nanoseconds. `about` is everything else that the contents depend on, as JSON.
    `fallback` is a directory of this server, for a machine on which the cache directory cannot be used.
    Raises `OSError`.
    """
    with _one_at_a_time:
        try:
            return _kept_in(cache_directory(), kind, about, make)
        except OSError:
            return _kept_in(fallback, kind, about, make)


def cache_directory() -> str:
    """Return this project's directory in the person's cache. Raises `OSError` if others can write there."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    base = base if os.path.isabs(base) else os.path.expanduser("~/.cache")
    directory = os.path.join(base, "daytona-kernel")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    status = os.stat(directory)
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"other users can write in {directory}")
    return directory


def _kept_in(directory: str, kind: str, about: list[Any], make: Callable[[str], Changes]) -> str:
    about = json.loads(json.dumps(about))
    kept = [entry for entry in os.scandir(directory) if entry.name.startswith(f"{kind}-")]
    kept.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in kept:
        if _is_current(entry.path, about) and _hold(entry.path):
            os.utime(entry.path)
            return entry.path
    new = tempfile.mkdtemp(prefix=f"{kind}-", dir=directory)
    try:
        if not _hold(new):
            raise FileNotFoundError(new)
        changes = make(new)
        with open(f"{new}/{_STATE}", "x", encoding="utf-8") as file:
            json.dump({"about": about, "changes": changes}, file)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        raise
    for entry in kept[_UNUSED:]:
        _remove_unused(entry.path)
    return new


def _is_current(path: str, about: list[Any]) -> bool:
    """Return whether the directory is complete, and nothing has changed since it was made.

    The time of a change cannot be set back, and a directory changes when an entry comes or goes.
    """
    try:
        with open(f"{path}/{_STATE}", encoding="utf-8") as file:
            state = json.load(file)
        return bool(state["about"] == about) and all(
            os.lstat(each).st_ctime_ns == changed for each, changed in state["changes"]
        )
    except (OSError, ValueError, KeyError):
        return False


def _hold(path: str) -> bool:
    """Lock the directory against its removal, as long as this process runs."""
    if path not in _held:
        with contextlib.suppress(FileNotFoundError):
            _held[path] = _lock(path, fcntl.LOCK_SH)
    return path in _held


def _remove_unused(path: str) -> None:
    if path not in _held:
        with contextlib.suppress(OSError):
            lock = _lock(path, fcntl.LOCK_EX)
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _lock(path: str, kind: int) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd
