"""The installation of ipykernel in the sandbox, by its uv or pip or from wheels that the kernel has sent.

The versions are those of `requirements.txt`, with hashes. An index that lacks one of them, or a person's
constraint against one, leads to the newest that are allowed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENT = "ipykernel>=7.2,<8"
_REQUIREMENTS = "requirements.txt"
# Seconds for one installation, and for an index that does not answer. pip and uv would wait for minutes.
_INSTALL_SECONDS = 300.0
_INDEX_SECONDS = 15
_CONNECTION = re.compile(
    r"[Cc]onnection|[Tt]ime|[Rr]etries|[Pp]roxy|SSL|dns|[Rr]equest|(?:Client|Server) Error|error for url"
)
_BROKEN = re.compile(
    r"\[Errno -?\d+\] [^'\"()\n]+|(?:[Cc]onnect|[Rr]ead|[Cc]onnection|operation)[ \w.:=()]* timed out"
    r"|(?:certificate verify failed|CERTIFICATE_VERIFY_FAILED)[^)'\n]*|Tunnel connection failed: [^'\")\n]+"
    r"|dns error|[Cc]onnection refused|failed to lookup address[^\n]*"
    r"|Network (?:connectivity is disabled|is unreachable)"
    r"|(?:HTTP error|status client error|status server error|Client Error|Server Error)[^\n]{0,60}"
)
_TIME_OUT = f"it did not answer within {_INSTALL_SECONDS / 60:.0f} minutes"
_MOST_CHARACTERS = 300


class Failure(NamedTuple):
    """Why packages could not be installed: a clause. by_connection: no index could be reached."""

    reason: str
    by_connection: bool


def install(directory: Path) -> Failure | None:
    """Install into the new `directory` from an index; return the reason if that fails."""
    installers = _installers(directory)
    if not installers:
        return Failure("there is neither pip nor uv", True)
    requirements = directory.with_name(f"{directory.name}-{_REQUIREMENTS}")
    requirements.write_bytes(_own_file(_REQUIREMENTS))
    failure = None
    try:
        for command in installers:
            for words in (["--no-deps", "--require-hashes", "-r", str(requirements)], [REQUIREMENT]):
                failure = _run([*command, *words])
                if failure is None or failure.by_connection:
                    return failure
    finally:
        requirements.unlink()
    return failure


def unpack(wheels: Path, directory: Path) -> None:
    """Unpack the wheels of one directory into another one, and remove them. That needs no pip."""
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                parts = entry.filename.split("/")
                if parts[0].endswith(".data"):  # of these, only the packages are of use here
                    if len(parts) < 3 or parts[1] not in ("purelib", "platlib"):  # noqa: PLR2004  # data, kind, name
                        continue
                    entry.filename = "/".join(parts[2:])
                archive.extract(entry, directory)
    shutil.rmtree(wheels, ignore_errors=True)


def reason_of(output: str) -> Failure:
    """Return why pip or uv failed, from all that it printed. Its last line alone often hides the reason."""
    of_connections = [line for line in output.splitlines() if _CONNECTION.search(line)]
    broken = _BROKEN.findall("\n".join(of_connections))
    if broken:
        return Failure(f"the package index could not be reached ({broken[-1].strip(' .:')})", True)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"(?:ERROR|error|  ×|×)", line)] or lines[-1:] or ["no output"]
    return Failure(re.sub(r"^(?:ERROR|error): *", "", told[0])[:_MOST_CHARACTERS], False)


def _own_file(name: str) -> bytes:
    """Return a file beside this module, which may be in an archive."""
    return __loader__.get_data(os.path.join(os.path.dirname(__file__), name))  # type: ignore[name-defined,no-any-return]  # noqa: PTH118, PTH120


def _installers(directory: Path) -> list[list[str]]:
    """Return the commands that install into `directory`; what to install follows."""
    target = ["--target", str(directory)]
    if shutil.which("uv"):
        return [["uv", "pip", "install", "--quiet", "--python", sys.executable, *target]]
    if find_spec("pip") is None:
        return []
    pip = [sys.executable, "-m", "pip"]
    # Python compiles what the interpreter imports; pip would compile everything, before the first cell.
    limits = ["--no-compile", "--timeout", str(_INDEX_SECONDS), "--retries", "1"]
    return [[*pip, "install", "--quiet", "--no-input", "--disable-pip-version-check", *limits, *target]]


def _run(command: list[str]) -> Failure | None:
    limits = {"UV_HTTP_TIMEOUT": str(_INDEX_SECONDS), "UV_HTTP_RETRIES": "1"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_INSTALL_SECONDS,
            env={**os.environ, **limits},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Failure(f"the package index could not be reached ({_TIME_OUT})", True)
    return None if done.returncode == 0 else reason_of(done.stdout.decode(errors="replace"))
