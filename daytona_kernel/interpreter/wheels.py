"""The packages that a sandbox lacks, loaded on the notebook's machine if the sandbox reaches no index.

What the sandbox says about its Python is checked, since it becomes part of a command line. The versions and
hashes are those of the agent's `requirements.txt`, so nothing depends on what is newest today. The wheels
are kept in the person's cache directory.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..errors import InterpreterStartError
from ..known_secrets import redact
from ..wire.schema import ProtocolError

_REQUIREMENTS = Path(__file__).parent.parent / "agent" / "requirements.txt"
_DOWNLOAD_SECONDS = 300.0
_INDEX_SECONDS = "15"
_CREDENTIALS = re.compile(r"//[^/@\s]*@")
_MOST_CHARACTERS = 300
_MACHINE = re.compile(r"[a-z0-9_]{1,20}")
_LIBCS = {"glibc": "manylinux", "musl": "musllinux"}
_OLDEST_MINOR = {"glibc": 5, "musl": 1}
_OLD_NAMES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_REQUIREMENT = re.compile(r"^(?P<pin>[A-Za-z0-9._-]+==[^\s;\\]+)\s*(?:;\s*(?P<marker>[^\\\n]+?))?\s*\\?$")


@dataclass(frozen=True)
class Target:
    """A Python in a sandbox: its version, its machine and its C library, which decide about wheels."""

    python: tuple[int, int]
    free_threaded: bool
    machine: str
    libc: str
    libc_version: tuple[int, int]

    @classmethod
    def parse(cls, wanted: Any) -> Target:
        """Return the target that an agent describes. Raises ProtocolError."""
        try:
            python, libc_version = _version(wanted["python"]), _version(wanted["libc_version"])
            machine, libc, free_threaded = wanted["machine"], wanted["libc"], wanted["free_threaded"]
            known = _MACHINE.fullmatch(machine) is not None and libc in _LIBCS and python[0] == 3  # noqa: PLR2004
        except (KeyError, TypeError, ValueError):
            known = False
        if not known or not isinstance(free_threaded, bool):
            raise ProtocolError("the agent describes a Python for which there are no wheels")
        return cls(python, free_threaded, machine, libc, libc_version)

    @property
    def abi(self) -> str:
        """The tag of CPython's binary interface."""
        return f"cp{self.python[0]}{self.python[1]}{'t' if self.free_threaded else ''}"

    @property
    def platforms(self) -> list[str]:
        """The tags of platforms whose wheels this Python can use, the newest first."""
        major, newest = self.libc_version
        found = []
        for minor in range(newest, _OLDEST_MINOR[self.libc] - 1, -1):
            found.append(f"{_LIBCS[self.libc]}_{major}_{minor}_{self.machine}")
            if self.libc == "glibc" and minor in _OLD_NAMES:
                found.append(f"{_OLD_NAMES[minor]}_{self.machine}")
        return [*found, f"linux_{self.machine}"]

    @property
    def markers(self) -> dict[str, str]:
        """The values of the variables in markers of requirements."""
        python = ".".join(map(str, self.python))
        return {
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "os_name": "posix",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "platform_machine": self.machine,
            "python_version": python,
            "python_full_version": f"{python}.0",
        }


def _version(numbers: Any) -> tuple[int, int]:
    major, minor = numbers
    if not all(type(each) is int and 0 <= each < 1000 for each in (major, minor)):  # noqa: PLR2004
        raise ValueError("no version")
    return major, minor


def requirements_for(text: str, target: Target) -> str:
    """Return the requirements of a file, with their hashes, that hold for a target, without the markers."""
    from packaging.markers import Marker

    kept: list[str] = []
    holds = False
    for line in text.splitlines():
        if match := _REQUIREMENT.match(line):
            marker = match["marker"]
            holds = marker is None or Marker(marker).evaluate(dict(target.markers))
            if holds:
                kept.append(f"{match['pin']} \\")
        elif holds and line.strip().startswith("--hash="):
            kept.append(line)
    return "\n".join([*kept, ""])


def wheels_for(target: Target) -> list[Path]:
    """Return the wheels for a target, downloaded now or for an earlier sandbox. It blocks.

    Raises InterpreterStartError with a sentence about this machine.
    """
    wanted = requirements_for(_REQUIREMENTS.read_text(encoding="utf-8"), target)
    name = sha256("\n".join([wanted, target.abi, *target.platforms]).encode()).hexdigest()[:16]
    cache = _cache_directory()
    kept = cache / f"wheels-{name}"
    if not kept.is_dir():
        with tempfile.TemporaryDirectory(prefix="wheels-", dir=cache) as directory:
            new = Path(directory) / "new"
            new.mkdir()
            (Path(directory) / "requirements.txt").write_text(wanted, encoding="utf-8")
            _download(Path(directory) / "requirements.txt", new, target)
            try:
                new.rename(kept)
            except OSError:
                if not kept.is_dir():  # otherwise another kernel was first
                    raise
    return sorted(kept.glob("*.whl"))


def _cache_directory() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = base / "daytona-kernel"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="daytona-kernel-wheels-"))
    return directory


def _download(requirements: Path, directory: Path, target: Target) -> None:
    version = "".join(map(str, target.python))
    command = [
        *_pip(),
        *(
            "download",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--no-deps",
            "--require-hashes",
        ),
        *("--timeout", _INDEX_SECONDS, "--retries", "1", "--only-binary", ":all:", "--implementation", "cp"),
        *("--python-version", version, "--abi", target.abi, "--abi", "abi3", "--abi", "none"),
        *(word for platform in target.platforms for word in ("--platform", platform)),
        *("--dest", str(directory), "--requirement", str(requirements)),
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InterpreterStartError(f"This machine could not load the packages either: {error}.") from error
    if done.returncode != 0:
        reason = reason_of(done.stdout.decode(errors="replace"))
        raise InterpreterStartError(f"This machine could not load the packages either: {reason}.")


def reason_of(output: str) -> str:
    """Return why pip failed: the connection, or its first error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if "connection broken" in line or line.startswith("ERROR")] or lines
    return _CREDENTIALS.sub("//", redact((told or ["no output"])[0]))[:_MOST_CHARACTERS]


def _pip() -> list[str]:
    """Return the command of this machine's pip: the environment's own, or the one that comes with Python."""
    import importlib.util

    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if importlib.util.find_spec("ensurepip") is not None:
        import ensurepip

        for wheel in (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"):
            return [sys.executable, str(wheel / "pip")]
    if shutil.which("pip"):
        return ["pip"]
    raise InterpreterStartError("This machine has no pip to load the packages with.")
