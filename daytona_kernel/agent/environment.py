"""The Python that runs the cells: the sandbox's own, with ipykernel added if it is missing.

If the image has no ipykernel, or an old one, the agent installs it into a separate directory in front of
the image's packages. The Python stays the image's, so that `python`, `pip`, `%pip` and the cells all use
the same one. A Python that is externally managed, has no pip or venv module, or is a venv itself needs no
special case. The next agent uses the directory again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# The oldest version that the tests of the interpreter pass with.
_MINIMUM = (7, 2)
_PATH_VARIABLE = "DAYTONA_AGENT_PACKAGES"


class UnusableEnvironmentError(Exception):
    """The sandbox's Python cannot run an interpreter; the message says why.

    wanted: what the kernel has to know to send the packages; None if they would not help.
    """

    def __init__(self, message: str, wanted: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.wanted = wanted


def ensure(report: Callable[..., None], wheels: str | None = None) -> None:
    """Make ipykernel importable here and in the interpreter.

    report: called with `progress=text` while something is being installed.
    wheels: the directory with the packages that the kernel has sent; None without.

    Raises UnusableEnvironmentError.
    """
    if _recent(_installed_version()):
        return
    directory = _directory()
    if not (directory / "complete").exists():
        report(progress=f"Installing ipykernel for {sys.executable} …")
        _install(directory, wheels)
    os.environ[_PATH_VARIABLE] = str(directory)
    sys.path.insert(1, str(directory))


def use() -> None:
    """Make the packages that `ensure` installed importable, and hide them from the user's programs."""
    directory = os.environ.pop(_PATH_VARIABLE, None)
    if directory:
        sys.path.insert(1, directory)


def _installed_version() -> str | None:
    spec = find_spec("ipykernel")
    if spec is None or spec.origin is None:
        return None
    found = list(Path(spec.origin).parent.parent.glob("ipykernel-*.dist-info"))
    if len(found) == 1:
        return found[0].stem.split("-")[1]
    # It may be installed in another way. This import takes a tenth of the agent's start.
    from importlib import metadata

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


def _install(directory: Path, wheels: str | None) -> None:
    """Fill the directory in one step: another agent may be about to use it."""
    from .installation import install, unpack

    new = directory.with_name(f".{directory.name}-{os.getpid()}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        if wheels is not None:
            unpack(Path(wheels), new)
        elif (failure := install(new)) is not None:
            raise UnusableEnvironmentError(
                f"The sandbox's Python ({sys.executable}) has no ipykernel, and it could not be installed: "
                f"{failure.reason}.",
                describe_python() if failure.by_connection else None,
            )
        (new / "complete").touch()
        shutil.rmtree(directory, ignore_errors=True)
        new.rename(directory)
    except OSError as error:
        if not (directory / "complete").exists():  # otherwise another agent was first
            raise UnusableEnvironmentError(
                f"ipykernel could not be installed in {directory}: {error}."
            ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def describe_python() -> dict[str, Any]:
    """Return what decides which wheels this Python can use."""
    libc, version = _libc()
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    return {
        "python": list(sys.version_info[:2]),
        "free_threaded": free_threaded,
        "machine": os.uname().machine,
        "libc": libc,
        "libc_version": version,
    }


def _libc() -> tuple[str, list[int]]:
    """Return the name and the version of the C library."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):
        name = ""
    if name == "glibc":
        return name, [int(part) for part in version.split(".")[:2]]
    for loader in Path("/lib").glob("ld-musl-*"):
        said = subprocess.run([str(loader)], capture_output=True, text=True, check=False).stderr
        if match := re.search(r"Version (\d+)\.(\d+)", said):
            return "musl", [int(match[1]), int(match[2])]
    return "unknown", [0, 0]
