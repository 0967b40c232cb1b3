"""`daytona-kernel doctor`: check the installation and the settings, and say where cells run.

Each check yields findings. The last check does what a kernel does: it creates a sandbox, runs code
in it and deletes it.
"""

from __future__ import annotations

import platform
import shutil
import sys
import time
from dataclasses import fields
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

from ._version import __version__
from .client import embedded
from .client.daytona import Daytona
from .client.models import CreateSandboxParams
from .config import resolve
from .errors import DaytonaError

if TYPE_CHECKING:
    from collections.abc import Iterator

OK, NOTE, WRONG = "ok", "note", "WRONG"

# jupyter_client replaces these names by its own interpreter, so they need not exist.
_REPLACED = {"python", "python{}".format(*sys.version_info), "python{}.{}".format(*sys.version_info)}


class Finding(NamedTuple):
    """A line of the report: `ok`, `note` or `WRONG`, and a sentence about the state and what to do."""

    mark: str
    sentence: str


def run() -> int:
    """Print the findings as they arrive; return 1 if something is wrong, and otherwise 0."""
    wrong = False
    for check in (_versions, _kernelspec, _settings, _sandbox):
        for mark, sentence in check():
            wrong = wrong or mark == WRONG
            print(f"{mark:<7}{sentence}", flush=True)
    return int(wrong)


def _versions() -> Iterator[Finding]:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("ipykernel", "jupyter_client"))
    yield Finding(OK, f"daytona-kernel {__version__}, {versions}, Python {platform.python_version()}")


def _kernelspec() -> Iterator[Finding]:
    from jupyter_client.kernelspec import KernelSpecManager

    specs = KernelSpecManager().get_all_specs().values()
    ours = [each for each in specs if "daytona_kernel" in each["spec"]["argv"]]
    if not ours:
        yield Finding(WRONG, "Jupyter does not know the kernel. Run: daytona-kernel install --user")
    for each in ours:
        name, python = each["spec"]["display_name"], each["spec"]["argv"][0]
        if python not in _REPLACED and shutil.which(python) is None:
            yield Finding(
                WRONG,
                f"The kernelspec in {each['resource_dir']} names {python}, which does not exist. "
                "Run: daytona-kernel install",
            )
        elif "-P" not in each["spec"]["argv"]:
            yield Finding(
                WRONG,
                f"The kernelspec in {each['resource_dir']} is from an earlier version. Its kernels may run "
                "Python files of the notebook's folder on this machine. Run daytona-kernel install as before",
            )
        else:
            yield Finding(OK, f"Jupyter knows the kernel as {name!r}, in {each['resource_dir']}")


def _settings() -> Iterator[Finding]:
    try:
        settings = resolve()
    except DaytonaError as error:
        yield Finding(WRONG, error.message)
        return
    if settings.embedded:
        yield Finding(
            OK, "Cells run on this machine, in the embedded server, because no DAYTONA_API_KEY is set"
        )
        return
    every = (getattr(settings, each.name) for each in fields(settings))
    shown = ", ".join(f"{each.name} {each.shown} ({each.source})" for each in every if each.value is not None)
    yield Finding(OK, f"Cells run at Daytona: {shown}")


def _sandbox() -> Iterator[Finding]:
    try:
        start = time.monotonic()
        with Daytona() as daytona:
            sandbox = daytona.create(CreateSandboxParams(auto_stop_interval=5, ephemeral=True))
            try:
                created = time.monotonic() - start
                python = sandbox.process.exec("python3 --version").result.strip()
                answer = sandbox.process.code_run("print(6 * 7)")
            finally:
                sandbox.delete()
            if daytona.settings.embedded:
                server = embedded.start()
                mark = NOTE if server.note else OK
                yield Finding(mark, server.note or f"Sandboxes are isolated with {server.isolation}")
    except DaytonaError as error:
        yield Finding(WRONG, error.message)
        return
    if answer.exit_code != 0 or answer.result.strip() != "42":
        yield Finding(WRONG, f"Python does not run in the sandbox: {answer.result.strip() or 'no output'}")
        return
    yield Finding(OK, f"Created a sandbox in {created:.1f} s, ran {python} in it, and deleted it")
