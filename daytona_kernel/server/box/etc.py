"""The /etc of isolated sandboxes: a copy of the files that every user of this machine may read.

It is a copy, because a mount of the directory itself would show later files too, and root's sandboxes can
read what only root may read. So the mode for others counts, on each step of the path. Files that seem to
hold secrets are left out, and so are other file systems that are mounted below /etc.

To copy takes tenths of a second and to compare takes two milliseconds, so a copy is kept in the person's
cache directory until one of the files changes. A server locks the copies that it uses.
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
import uuid
from typing import TYPE_CHECKING, Any

from .file_secrets import holds_secret, is_secret_name

if TYPE_CHECKING:
    from collections.abc import Iterator

COPIED = ("/etc", "/usr/etc", "/usr/local/etc")
LIVE = ("/etc/hosts", "/etc/resolv.conf")  # mounted over the copy, because they change with the network
_FORMAT = 1  # count up when the same files give another copy
_PREFIX = "etc-"
_STATE = "state.json"
_ENTRIES = 20_000
_FILE_BYTES = 4 << 20
_READABLE_DIRECTORY = stat.S_IROTH | stat.S_IXOTH
# They name this machine and its users. A sandbox has its own, or none.
_NOT_COPIED = {
    *(f"/etc/{name}{end}" for name in ("passwd", "group", "shadow", "subuid", "subgid") for end in ("", "-")),
    *("/etc/hostname", "/etc/machine-id"),
    *LIVE,
}
_HARMLESS = {"openssl.cnf"}  # its example has a password
_NOBODY = 65534
_held: dict[str, int] = {}  # the copies of this process, and the descriptors of their locks
_one_at_a_time = threading.Lock()


def current_copy(home: str, fallback: str) -> str:
    """Return the directory that contains the copy of `COPIED`, below the same paths. Make it if necessary.

    `home` is the home of the sandbox's one user. `fallback` is a directory of this server, for a machine on
    which the cache directory cannot be used. Raises `OSError`.
    """
    with _one_at_a_time:
        try:
            return _current_copy(_cache_directory(), home)
        except OSError:
            return _current_copy(fallback, home)


def _cache_directory() -> str:
    base = os.environ.get("XDG_CACHE_HOME", "")
    base = base if os.path.isabs(base) else os.path.expanduser("~/.cache")
    directory = os.path.join(base, "daytona-kernel")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    status = os.stat(directory)
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"other users can write in {directory}")
    return directory


def _current_copy(directory: str, home: str) -> str:
    about = [_FORMAT, home, os.getuid(), os.getgid(), sorted(_mount_points())]
    made = [entry.path for entry in os.scandir(directory) if entry.name.startswith(_PREFIX)]
    for path in made:
        if _is_current(path, about) and _hold(path):
            return path
    new = tempfile.mkdtemp(prefix=_PREFIX, dir=directory)
    try:
        if not _hold(new):
            raise FileNotFoundError(new)
        _make(new, home, about)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        raise
    for path in made:
        _remove_unused(path)
    return new


def _hold(path: str) -> bool:
    """Lock the copy against its removal, as long as this process runs."""
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


def _is_current(path: str, about: list[Any]) -> bool:
    """Return whether the copy is complete, and no file or directory has changed since it was made.

    The time of a change cannot be set back, and a directory changes when an entry comes or goes.
    """
    try:
        with open(f"{path}/{_STATE}", encoding="utf-8") as file:
            state = json.load(file)
        return bool(state["about"] == about) and all(
            os.lstat(each).st_ctime_ns == changed for each, changed in state["changed"]
        )
    except (OSError, ValueError, KeyError):
        return False


def _make(target: str, home: str, about: list[Any]) -> None:
    """Make the copy in the new directory `target`. Its state is written last."""
    changed = []
    for path, status in _entries(set(about[-1])):
        if not stat.S_ISLNK(status.st_mode):
            changed.append((path, status.st_ctime_ns))
        with contextlib.suppress(FileNotFoundError):
            _copy(path, status, target + path)
    _write_own(target, home)
    with open(f"{target}/{_STATE}", "x", encoding="utf-8") as file:
        json.dump({"about": about, "changed": changed}, file)


def _entries(mounted: set[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield what is in `COPIED`; a directory before its contents, and only if every user may list it."""
    waiting = [root for root in COPIED if os.path.isdir(root)]
    count = 0
    while waiting:
        directory = waiting.pop()
        status = os.stat(directory)
        yield directory, status
        if status.st_mode & _READABLE_DIRECTORY != _READABLE_DIRECTORY:
            continue
        with os.scandir(directory) as found:
            for entry in found:
                count += 1
                if entry.path in mounted or count > _ENTRIES:
                    continue
                status = entry.stat(follow_symlinks=False)
                if not stat.S_ISDIR(status.st_mode):
                    yield entry.path, status
                elif not is_secret_name(entry.name):
                    waiting.append(entry.path)


def _copy(path: str, status: os.stat_result, target: str) -> None:
    name = os.path.basename(path)
    if stat.S_ISDIR(status.st_mode):
        os.makedirs(target)
    elif path in _NOT_COPIED or is_secret_name(name):
        pass
    elif stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(path), target)
    elif _may_be_read(status):
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(source, "rb") as file:
            status = os.fstat(source)  # of the file that was opened
            content = file.read(_FILE_BYTES) if _may_be_read(status) else b""
        if _may_be_read(status) and (name in _HARMLESS or not holds_secret(content)):
            _write(target, content, stat.S_IMODE(status.st_mode) & 0o555)


def _may_be_read(status: os.stat_result) -> bool:
    mode = status.st_mode
    return stat.S_ISREG(mode) and bool(mode & stat.S_IROTH) and status.st_size <= _FILE_BYTES


def _write(path: str, content: bytes, mode: int = 0o444) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode | 0o400), "wb") as file:
        file.write(content)


def _mount_points() -> set[str]:
    """Return what is mounted below `COPIED`. In a cluster's containers, these are often secrets."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="backslashreplace") as lines:
        points = {line.split(" ", 5)[4] for line in lines}
    return {point for point in points if point.startswith(tuple(f"{root}/" for root in COPIED))}


def _write_own(target: str, home: str) -> None:
    """Write the sandbox's own files: its accounts, which are one user and nobody, and its name."""
    uid, gid = os.getuid(), os.getgid()
    user = f"daytona:x:{uid}:{gid}:daytona:{home}:/bin/bash\n"
    nobody = f"nobody:x:{_NOBODY}:{_NOBODY}:nobody:/nonexistent:/usr/sbin/nologin\n"
    nogroup = f"nogroup:x:{_NOBODY}:\n"
    own = {
        "/etc/passwd": user + (nobody if uid != _NOBODY else ""),
        "/etc/group": f"daytona:x:{gid}:\n" + (nogroup if gid != _NOBODY else ""),
        "/etc/hostname": "sandbox\n",
        "/etc/machine-id": f"{uuid.uuid4().hex}\n",
        **dict.fromkeys(LIVE, ""),
    }
    for path, content in own.items():
        _write(target + path, content.encode())
