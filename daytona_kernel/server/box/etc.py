"""The /etc of isolated sandboxes: a copy of the files that every user of this machine may read.

It is a copy, because a mount of the directory itself would show later files too, and root's sandboxes can
read what only root may read. So the mode for others counts, on each step of the path. Files that seem to
hold secrets are left out, and so are other file systems that are mounted below /etc.

The copy is kept until one of the files changes.
"""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from typing import TYPE_CHECKING

from .account import SEEN_AS
from .cache import Changes, kept_directory
from .file_secrets import holds_secret, is_secret_name

if TYPE_CHECKING:
    from collections.abc import Iterator

COPIED = ("/etc", "/usr/etc", "/usr/local/etc")
LIVE = ("/etc/hosts", "/etc/resolv.conf")  # mounted over the copy, because they change with the network
_FORMAT = 2  # count up when the same files give another copy
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


def current_copy(home: str, fallback: str) -> str:
    """Return the directory that contains the copy of `COPIED`, below the same paths.

    `home` is the home of the sandbox's one user. `fallback` is as for `kept_directory`.
    """
    mounted = _mount_points()

    def make(target: str) -> Changes:
        changes = []
        for path, status in _entries(mounted):
            if not stat.S_ISLNK(status.st_mode):
                changes.append((path, status.st_ctime_ns))
            with contextlib.suppress(FileNotFoundError):
                _copy(path, status, target + path)
        _write_own(target, home)
        return changes

    about = [_FORMAT, home, sorted(mounted)]
    return kept_directory("etc", about, make, fallback)


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
        os.chmod(target, 0o755)  # noqa: S103  # whatever the umask is: a box may run as another user
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
    with open(path, "xb") as file:
        os.fchmod(file.fileno(), mode | 0o444)
        file.write(content)


def _mount_points() -> set[str]:
    """Return what is mounted below `COPIED`. In a cluster's containers, these are often secrets."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="backslashreplace") as lines:
        points = {line.split(" ", 5)[4] for line in lines}
    return {point for point in points if point.startswith(tuple(f"{root}/" for root in COPIED))}


def _write_own(target: str, home: str) -> None:
    """Write the sandbox's own files: its accounts, which are one user and nobody, and its name."""
    own = {
        "/etc/passwd": f"daytona:x:{SEEN_AS}:{SEEN_AS}:daytona:{home}:/bin/bash\n"
        f"nobody:x:{_NOBODY}:{_NOBODY}:nobody:/nonexistent:/usr/sbin/nologin\n",
        "/etc/group": f"daytona:x:{SEEN_AS}:\nnogroup:x:{_NOBODY}:\n",
        "/etc/hostname": "sandbox\n",
        "/etc/machine-id": f"{uuid.uuid4().hex}\n",
        **dict.fromkeys(LIVE, ""),
    }
    for path, content in own.items():
        _write(target + path, content.encode())
