"""The programs in front of the machine's own on a sandbox's PATH: launchers of Python packages, and hints.

pip calls the packages of the server's environment installed, so their scripts have to start, with the
sandbox's Python. They are not in the sandbox's `bin`: pip writes there and removes from there what it
installs in the sandbox.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import TYPE_CHECKING

from .cache import kept_directory
from .python_environment import PIP, base_python, seen_directories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .cache import Changes

_FORMAT = 1  # count up when the same packages give other programs
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_ENTRY_POINT = re.compile(r"([A-Za-z_][\w.]*)\s*:\s*([A-Za-z_]\w*)((?:\.\w+)*)\s*(?:\[.*\])?")
_LAUNCHER = """#!{python}
import sys
{before}from {module} import {name}
sys.exit({name}{attributes}())
"""
_LAB = """import os
os.environ.setdefault("JUPYTERLAB_DIR", {pages!r})
"""
_INSTALLERS = ("apt-get", "apt", "aptitude", "dnf", "yum", "apk", "pacman", "zypper")
_CHANGES = (
    "install|add|update|upgrade|dist-upgrade|full-upgrade|remove|purge|autoremove|build-dep|reinstall|-S*"
)
_INSTALLER = """#!/bin/sh
for word; do
    case $word in
    {changes})
        echo "{name}: nothing was changed, because a sandbox on this machine sees the machine's programs" \\
            "read-only. Install system packages on the machine itself, and then run %sandbox new." \\
            "Inside the sandbox, pip and npm can install packages." >&2
        exit 100
        ;;
    esac
done
exec {program} "$@"
"""
_SUDO = """#!/bin/sh
echo "sudo: a sandbox on this machine has no administrator, so nothing was run." \\
    "Run the command without sudo. System packages can only be installed on the machine itself." >&2
exit 1
"""


def current_launchers(python: str, fallback: str, *, isolated: bool) -> str:
    """Return the directory of programs for sandboxes whose Python has the path `python`.

    `fallback` is as for `kept_directory`. With `isolated`, the hints are there, too.
    """
    seen = seen_directories()

    def make(target: str) -> Changes:
        _make(target, python, seen, isolated=isolated)
        return [(path, os.stat(path).st_ctime_ns) for path in seen]

    about = [_FORMAT, python, base_python(), sys.prefix, seen, isolated]
    return kept_directory("programs", about, make, fallback) + "/bin"


def _make(target: str, python: str, seen: list[str], *, isolated: bool) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    programs = dict.fromkeys(("pip", "pip3", f"pip{version}"), PIP.format(python=python))
    # JupyterLab expects its pages below the sandbox's prefix.
    pages = f"{sys.prefix}/share/jupyter/lab"
    lab = _LAB.format(pages=pages) if os.path.isdir(pages) else ""
    for directory in reversed(seen):  # the first one has precedence
        for name, module, function, attributes in _console_scripts(directory):
            programs[name] = _LAUNCHER.format(
                python=python,
                before=lab if name.startswith("jupyter") else "",
                module=module,
                name=function,
                attributes=attributes,
            )
    if isolated:
        programs |= _hints()
    os.mkdir(f"{target}/bin")
    os.chmod(f"{target}/bin", 0o755)  # noqa: S103  # whatever the umask is: a box may run as another user
    for name, text in programs.items():
        with open(f"{target}/bin/{name}", "x", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o755)
            file.write(text)
    # The sandbox's own Python comes first on PATH. This one is for programs such as uv, which skip the
    # Pythons of virtual environments and would take the system's.
    for name in ("python3", f"python{version}"):
        if name not in programs:
            os.symlink(base_python(), f"{target}/bin/{name}")


def _console_scripts(directory: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield the name, the module, the object in it and its attributes of each script in `directory`."""
    import configparser  # most servers find the launchers made

    for entry in os.scandir(directory):
        if not entry.name.endswith((".dist-info", ".egg-info")):
            continue
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # names of scripts keep their case
        try:
            parser.read(f"{entry.path}/entry_points.txt", encoding="utf-8")
            scripts = parser.items("console_scripts")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for name, value in scripts:
            match = _ENTRY_POINT.fullmatch(value.strip())
            if match and _NAME.fullmatch(name):
                module, function, attributes = match.groups()
                yield name, module, function, attributes


def _hints() -> dict[str, str]:
    """Return programs that say why the machine's own of that name cannot work in an isolated sandbox."""
    found = {name: program for name in _INSTALLERS if (program := shutil.which(name))}
    hints = {
        name: _INSTALLER.format(name=name, program=program, changes=_CHANGES)
        for name, program in found.items()
    }
    return hints | {"sudo": _SUDO}
