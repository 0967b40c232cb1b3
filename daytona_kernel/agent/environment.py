"""The Python that runs the cells: the sandbox's own, with ipykernel added if it is missing.

If the image has no ipykernel, or an old one, the agent installs it into a separate directory in front of
the image's packages. The Python stays the image's, so that `python`, `pip`, `%pip` and the cells all use
the same one. A Python that is externally managed, has no venv module, or is a venv itself needs no special
case. The next agent uses the directory again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# The oldest version that the tests of the interpreter pass with.
_MINIMUM = (7, 2)
_REQUIREMENT = "ipykernel>=7.2"
_PATH_VARIABLE = "DAYTONA_AGENT_PACKAGES"


class UnusableEnvironmentError(Exception):
    """The sandbox's Python cannot run an interpreter; the message says why."""


def ensure(report: Callable[..., None]) -> None:
    """Make ipykernel importable here and in the interpreter.

    report: called with `progress=text` while something is being installed.

    Raises UnusableEnvironmentError.
    """
    if _recent(_installed_version()):
        return
    directory = _directory()
    if not (directory / "complete").exists():
        report(progress=f"Installing ipykernel for {sys.executable} …")
        _install(directory)
    os.environ[_PATH_VARIABLE] = str(directory)
    sys.path.insert(1, str(directory))


def use() -> None:
    """Make the packages that `ensure` installed importable, and hide them from the user's programs."""
    directory = os.environ.pop(_PATH_VARIABLE, None)
    if directory:
        sys.path.insert(1, directory)


def _installed_version() -> str | None:
    try:
        return metadata.version("ipykernel")
    except metadata.PackageNotFoundError:
        return None


def _recent(version: str | None) -> bool:
    if version is None:
        return False
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    return numbers >= _MINIMUM


def _directory() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Path(cache) / "daytona-kernel" / name


def _install(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    failures = []
    for installer in _installers(directory):
        done = subprocess.run(
            installer,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            (directory / "complete").touch()
            return
        failures.append((done.stdout.strip().splitlines() or ["no output"])[-1])
    raise UnusableEnvironmentError(
        f"The sandbox's Python ({sys.executable}) has no ipykernel, and it could not be installed: "
        + ("; ".join(failures) or "there is neither uv nor pip")
    )


def _installers(directory: Path) -> list[list[str]]:
    installers = []
    if shutil.which("uv"):
        installers.append(
            ["uv", "pip", "install", "--python", sys.executable, "--target", str(directory), _REQUIREMENT]
        )
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode == 0:
        installers.append([*pip, "install", "--quiet", "--target", str(directory), _REQUIREMENT])
    return installers
