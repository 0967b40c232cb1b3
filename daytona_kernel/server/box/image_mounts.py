"""The file system of a sandbox that stands on a local snapshot, as options of bubblewrap.

The directories of the snapshot take the place of the machine's. A mount needs a place, and the snapshot is
read-only: so a directory that lacks such a place is put together entry by entry.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from .etc import LIVE, current_copy
from .isolation import IMAGE_SETTINGS, ISOLATED
from .mount_points import directories_to, mount_points
from .mounts import own_directories, resolver
from .named_files import shown_files
from .server_python import server_python
from .settings_files import settings_with_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .network import Network

_OF_THE_SANDBOX = ("/etc/passwd", "/etc/group", "/etc/hostname")
# A sandbox has its own, or the machine's.
_NOT_OF_THE_IMAGE = ("/dev", "/home", "/proc", "/run", "/sys", "/tmp")  # noqa: S108  # paths inside
_HARDWARE = ("/sys/devices/system/cpu", "/sys/devices/system/node")


def of_the_image(root: str, later: Sequence[str]) -> list[str]:
    """Return the mounts of the root file system in `root`. The options `later` mount upon it."""
    points = {*mount_points(later), *_NOT_OF_THE_IMAGE}
    hardware = [word for path in _HARDWARE for word in ("--ro-bind-try", path, path)]
    return [*_mount(root, "", sorted(points)), *hardware]


def of_the_image_box(directory: Path, network: Network) -> list[str]:
    """Return the mounts of the box in `directory` that stands on an image, and of the server's Python."""
    etc = current_copy(ISOLATED.home, str(directory.parent))
    named = shown_files(settings_with_files())
    python = server_python().mounts
    return [
        *(word for path in _OF_THE_SANDBOX for word in ("--ro-bind", f"{etc}{path}", path)),
        *(word for path in LIVE if os.path.exists(path) for word in ("--ro-bind", path, path)),
        *resolver(directory / "resolv.conf", network),
        *own_directories(directory),
        *(word for path in named if path not in LIVE for word in ("--ro-bind", path, path)),
        *directories_to([IMAGE_SETTINGS, *mount_points(python)], "/run"),
        *("--ro-bind", str(directory / "python"), IMAGE_SETTINGS),
        *python,
    ]


def _mount(root: str, path: str, points: Sequence[str]) -> list[str]:
    """Return the options for `path` of the image, which "" is the root of."""
    inside = [point for point in points if point.startswith(f"{path}/")]
    if path and all(_is_there(root, point) for point in inside):
        return ["--ro-bind", f"{root}{path}", path]
    options = ["--perms", "0755", "--dir", path] if path else []
    with os.scandir(f"{root}{path}") as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        inner = f"{path}/{entry.name}"
        if inner in points:
            continue
        if entry.is_symlink():
            # A place behind a link cannot be mounted: there, the sandbox has a directory of its own.
            if not any(point.startswith(f"{inner}/") for point in points):
                options += ["--symlink", os.readlink(entry.path), inner]
        elif entry.is_dir():
            options += _mount(root, inner, inside)
        elif entry.is_file():
            options += ["--ro-bind", entry.path, inner]
    there = {f"{path}/{entry.name}" for entry in entries if not entry.is_symlink()}
    deeper = [point for point in inside if "/".join(point.split("/")[: path.count("/") + 2]) not in there]
    return [*options, *directories_to(deeper, path)]


def _is_there(root: str, point: str) -> bool:
    """Return whether the image has a file or directory at `point`, and no link on the way to it."""
    path = root
    for name in point.strip("/").split("/"):
        path = f"{path}/{name}"
        try:
            if stat.S_ISLNK(os.lstat(path).st_mode):
                return False
        except OSError:
            return False
    return True
