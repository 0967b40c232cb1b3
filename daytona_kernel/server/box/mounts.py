"""The file system of an isolated sandbox, as options of bubblewrap.

A sandbox sees these parts of the machine, read-only: the system's programs and libraries, a copy of /etc
without secrets, and the server's Python. Its home, /workspace and /tmp are its own.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .etc import COPIED, LIVE, current_copy
from .isolation import ISOLATED, inherited_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

_SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"]
_SYSTEM_FILES = [
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
    for path in _SYSTEM:
        if os.path.islink(path):  # /bin on a machine with a merged /usr
            mounts += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            mounts += ["--ro-bind", path, path]
    for path in _SYSTEM_FILES:
        mounts += ["--ro-bind-try", path, path]
    return mounts


def of_the_box(directory: Path) -> list[str]:
    """Return the mounts of the box in `directory`, and of the server's Python. The layout is `ISOLATED`."""
    etc = current_copy(ISOLATED.home, str(directory.parent))
    prefixes = [argument for path in python_prefixes() for argument in ("--ro-bind", path, path)]
    return [
        *(word for path in COPIED if os.path.isdir(path) for word in ("--ro-bind", f"{etc}{path}", path)),
        *(word for path in LIVE for word in ("--ro-bind-try", path, path)),
        *("--tmpfs", "/dev/shm", "--tmpfs", "/run"),  # noqa: S108  # paths inside the sandbox
        *("--bind", str(directory / "home"), ISOLATED.home),
        *("--bind", str(directory / "workspace"), ISOLATED.workspace),
        *("--bind", str(directory / "tmp"), ISOLATED.tmp),
        *("--bind", str(directory / "tmp"), "/var/tmp"),  # noqa: S108
        *prefixes,
        *_named_by_environment(),
        *("--bind", str(directory / "python"), ISOLATED.python),
        *("--bind", str(directory / "run"), ISOLATED.run),
    ]


def _named_by_environment() -> list[str]:
    """Return mounts for the certificates and the wheels that the inherited variables name."""
    paths = {
        path
        for name, value in inherited_settings(os.environ).items()
        if re.search(r"CERT|CA_BUNDLE|FIND_LINKS", name)
        for path in value.split()
        if os.path.isabs(path) and not any(path.startswith(f"{shown}/") for shown in ["/etc", *_SYSTEM])
    }
    return [argument for path in sorted(paths) for argument in ("--ro-bind-try", path, path)]


def python_prefixes() -> list[str]:
    """Return the directories that the server's Python needs, without those of the system mounts."""
    needed = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix]
    executable = Path(getattr(sys, "_base_executable", None) or sys.executable)
    needed += [str(executable.parent), str(executable.resolve().parent)]
    needed += _installed_directories()
    return outermost(needed)


def outermost(paths: Iterable[str]) -> list[str]:
    """Return the directories of `paths` that have to be mounted.

    The system's directories and those inside another one are mounted already. A directory that contains
    the person's whole home is left out.
    """
    home = os.path.realpath(os.path.expanduser("~"))
    shown = [path for path in _SYSTEM if os.path.isdir(path)]
    found: list[str] = []
    for path in sorted({os.path.abspath(path) for path in paths}, key=len):
        covers_home = f"{home}/".startswith(f"{os.path.realpath(path).rstrip('/')}/")
        inside = any(f"{path}/".startswith(f"{outer}/") for outer in [*shown, *found])
        if os.path.isdir(path) and not covers_home and not inside:
            found.append(path)
    return found


def _installed_directories() -> list[str]:
    """Return the directories of importable packages: the import path, and targets of editable installs."""
    named_by_user = {
        os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path
    }
    # The first entry is the directory of the script, or the current one. Packages are not installed there.
    path = sys.path if sys.flags.safe_path else sys.path[1:]
    found = [entry for entry in path if os.path.isdir(entry) and os.path.abspath(entry) not in named_by_user]
    for finder in sys.meta_path:
        mapping = getattr(sys.modules.get(getattr(finder, "__module__", "")), "MAPPING", None)
        if isinstance(mapping, dict):  # an editable install of setuptools
            found += [os.path.dirname(str(target)) for target in mapping.values()]
    return found
