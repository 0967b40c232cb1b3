"""The file system of an isolated sandbox, as options of bubblewrap.

A sandbox sees these parts of the machine, read-only: the system's programs and libraries, a copy of /etc
without secrets, and the server's Python. Its home, /workspace and /tmp are its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import limits
from .etc import COPIED, LIVE, current_copy
from .isolation import ISOLATED
from .launchers import current_launchers
from .named_files import shown_files
from .network import Network, resolver_configuration
from .python_files import SYSTEM, outermost, python_mounts
from .settings_files import settings_with_files

if TYPE_CHECKING:
    from pathlib import Path

SYSTEM_FILES = [
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/var/cache/fontconfig",
    "/var/lib/dpkg",
    "/var/lib/ghostscript",
    "/var/lib/texmf",
    "/nix/store",
]


def of_the_machine() -> list[str]:
    """Return the mounts of the machine's programs, and of the files that they need."""
    mounts = []
    for path in SYSTEM:
        if os.path.islink(path):  # /bin on a machine with a merged /usr
            mounts += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            mounts += ["--ro-bind", path, path]
    for path in SYSTEM_FILES:
        mounts += ["--ro-bind-try", path, path]
    return mounts


def of_the_box(directory: Path, network: Network) -> list[str]:
    """Return the mounts of the box in `directory`, and of the server's Python. The layout is `ISOLATED`."""
    fallback = str(directory.parent)
    etc = current_copy(ISOLATED.home, fallback)
    launchers = current_launchers(f"{ISOLATED.python}/bin/python", fallback, isolated=True)
    return [
        *(word for path in COPIED if os.path.isdir(path) for word in ("--ro-bind", f"{etc}{path}", path)),
        *(word for path in LIVE for word in ("--ro-bind-try", path, path)),
        *resolver(directory / "resolv.conf", network),
        *own_directories(directory),
        *outside(),
        *("--bind", str(directory / "python"), ISOLATED.python),
        *("--ro-bind", launchers, ISOLATED.programs),
    ]


def own_directories(directory: Path) -> list[str]:
    """Return the mounts of the directories that every box has of its own."""
    return [
        *("--perms", "1777", "--size", str(limits.SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm"),  # noqa: S108  # a path inside the sandbox
        *("--perms", "0755", "--size", str(limits.RUN_BYTES), "--tmpfs", "/run"),
        *("--bind", str(directory / "home"), ISOLATED.home),
        *("--bind", str(directory / "workspace"), ISOLATED.workspace),
        *("--bind", str(directory / "tmp"), ISOLATED.tmp),
        *("--bind", str(directory / "tmp"), "/var/tmp"),  # noqa: S108
        *("--ro-bind", str(directory / "run"), ISOLATED.run),
    ]


def outside() -> list[str]:
    """Return the mounts of Python, its packages, and the files that settings name: each at its own path."""
    paths = outermost(shown_files(settings_with_files(), [*COPIED, *SYSTEM]))
    return [*python_mounts(), *(word for path in paths for word in ("--ro-bind-try", path, path))]


def resolver(path: Path, network: Network) -> list[str]:
    """Return the mount of a `resolv.conf` for a network of its own, and write that file to `path`."""
    if network.kind != "own":
        return []
    path.write_text(resolver_configuration())
    path.chmod(0o644)
    return ["--ro-bind", str(path), "/etc/resolv.conf"]
