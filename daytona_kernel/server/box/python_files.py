"""The server's Python and its packages, as an isolated sandbox sees them.

A Python's prefix may be a project's folder, and an editable install puts a project's folder on the import
path. Such a folder also holds `.env`, `.git` and the like. So a sandbox sees the parts of a prefix that
Python and its packages consist of, and on the import path the packages themselves.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"]
_PREFIX_PARTS = ["bin", "sbin", "include", "lib", "lib32", "lib64", "libexec", "share", "ssl"]
_PREFIX_FILES = ["etc/fonts", "pyvenv.cfg"]
_PACKAGES = {"site-packages", "dist-packages"}
_MODULES = (".py", ".so")
_METADATA = (".dist-info", ".egg-info")
_OF_A_PROJECT = ["pyproject.toml", "setup.py", "setup.cfg", ".git"]


def python_mounts() -> list[str]:
    """Return bubblewrap's options for the server's Python and its packages, each at its own path."""
    options: list[str] = []
    prefixes = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}
    of_python = outermost(
        f"{prefix}/{part}" for prefix in prefixes for part in [*_PREFIX_PARTS, *_PREFIX_FILES]
    )
    shown = outermost([*of_python, *_installed([*of_python, *SYSTEM])])
    for path in shown:
        # A link such as a venv's `lib64` stays a link. A link out of the shown directories leads nowhere.
        relative = os.path.islink(path) and not os.path.isabs(os.readlink(path))
        options += ["--symlink", os.readlink(path), path] if relative else ["--ro-bind", path, path]
    return options + _executable([*shown, *SYSTEM])


def _executable(shown: list[str]) -> list[str]:
    """Return the options for the base Python's executable, and the links that lead to it."""
    options: list[str] = []
    path = os.path.abspath(getattr(sys, "_base_executable", None) or sys.executable)
    for _ in range(40):  # as many as the system follows
        if _is_inside(path, shown):
            return options
        if not os.path.islink(path):
            return [*options, "--ro-bind", path, path]
        options += ["--symlink", os.readlink(path), path]
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
    return options


def outermost(paths: Iterable[str]) -> list[str]:
    """Return the files and directories of `paths` that exist and have to be mounted.

    The system's directories and those inside another one are mounted already. A directory that contains
    the person's whole home is left out.
    """
    home = os.path.realpath(os.path.expanduser("~"))
    shown = [path for path in SYSTEM if os.path.isdir(path)]
    found: list[str] = []
    for path in sorted({os.path.abspath(path) for path in paths}, key=lambda path: (len(path), path)):
        covers_home = f"{home}/".startswith(f"{os.path.realpath(path).rstrip('/')}/")
        if os.path.exists(path) and not covers_home and not _is_inside(path, [*shown, *found]):
            found.append(path)
    return found


def _is_inside(path: str, directories: list[str]) -> bool:
    return any(f"{path}/".startswith(f"{directory}/") for directory in directories)


def _installed(shown: list[str]) -> Iterator[str]:
    """Yield the paths of importable packages: of the import path, and those of editable installs.

    They are outside of the directories `shown`.
    """
    named_by_user = {
        os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path
    }
    # The first entry is the directory of the script, or the current one. Packages are not installed there.
    for entry in sys.path if sys.flags.safe_path else sys.path[1:]:
        if _is_inside(entry, shown):
            continue
        if os.path.basename(entry) in _PACKAGES:
            yield entry
        elif os.path.abspath(entry) not in named_by_user:
            yield from _packages_in(entry)
    for finder in sys.meta_path:
        mapping = getattr(sys.modules.get(getattr(finder, "__module__", "")), "MAPPING", None)
        if isinstance(mapping, dict):  # an editable install of setuptools
            for target in map(str, mapping.values()):
                yield from [target, *(f"{target}{suffix}" for suffix in _MODULES)]


def _packages_in(directory: str) -> Iterator[str]:
    """Yield what can be imported from a directory that may also hold other files.

    In the folder of a project, single modules such as `setup.py` are not installed.
    """
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    of_a_project = any(name in names for name in _OF_A_PROJECT)
    for name in names:
        path = os.path.join(directory, name)
        stem, suffix = os.path.splitext(name)
        if (
            suffix in _METADATA
            or (name.isidentifier() and _is_package(path))
            or (suffix in _MODULES and stem.split(".")[0].isidentifier() and not of_a_project)
        ):
            yield path


def _is_package(path: str) -> bool:
    """Return whether `path` is a package, or a namespace that consists of packages."""
    if not os.path.isdir(path):
        return False
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries]
    inner = (os.path.join(path, name, "__init__.py") for name in names)
    return "__init__.py" in names or any(os.path.isfile(each) for each in inner)
