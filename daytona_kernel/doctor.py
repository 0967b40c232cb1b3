"""`daytona-kernel doctor`: check the installation and the settings, and say where cells run.

Each check yields findings. The last check does what a kernel does: it creates a sandbox, or uses
the one that is named, and runs code in it.
"""

from __future__ import annotations

import platform
import re
import shlex
import subprocess
import sys
import time
from contextlib import redirect_stderr
from dataclasses import fields, replace
from importlib import metadata
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import card_settings, jupyter_environments, kernelspecs
from ._version import __version__
from .client import embedded
from .client.daytona import Daytona
from .config import resolve
from .errors import DaytonaError, DaytonaNotFoundError
from .sandbox_params import find_settings, make_params
from .settings import logins
from .settings.machine import MACHINE
from .settings.resolution import KERNELSPEC_VARIABLE, find, process_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .client.models.sandboxes import CreateSandboxParams
    from .client.sandbox import Sandbox
    from .kernelspecs import Kernelspec
    from .settings.resolution import Found

OK, NOTE, WRONG = "ok", "note", "WRONG"
_SYSTEM = re.compile(r"/(?:usr|bin|sbin|lib\w*|etc|sys|proc|dev|run|var|nix/store)(?:/|$)")
_OF_EVERY_SANDBOX = {"/", "/home/daytona", "/workspace", "/tmp", "/opt/daytona", "/opt/programs"}  # noqa: S108  # in it
_IMPORT = "import importlib.util, sys; sys.exit(importlib.util.find_spec('daytona_kernel') is None)"
_IMPORT_SECONDS = 20


class Finding(NamedTuple):
    """A line of the report: `ok`, `note` or `WRONG`, and a sentence about the state and what to do."""

    mark: str
    sentence: str


def _leftovers() -> Iterator[Finding]:
    from .server.state_directory import abandoned, remove_abandoned

    with redirect_stderr(StringIO()):
        remove_abandoned()
    for path in abandoned():
        yield Finding(
            NOTE,
            f"Files of a deleted sandbox could not be removed from {path}. Remove them as an administrator",
        )


def run() -> int:
    """Print the findings as they arrive; return 1 if something is wrong, and otherwise 0."""
    wrong = False
    for check in (_versions, _kernelspecs, _jupyter, _settings, _other_settings, _sandbox, _leftovers):
        for mark, sentence in check():
            wrong = wrong or mark == WRONG
            print(f"{mark:<7}{sentence}", flush=True)
    return int(wrong)


def _versions() -> Iterator[Finding]:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("ipykernel", "jupyter_client"))
    yield Finding(OK, f"daytona-kernel {__version__}, {versions}, Python {platform.python_version()}")
    if sys.platform != "linux":
        yield Finding(NOTE, f"The kernel needs Linux, but this is {platform.system()}")


def _kernelspecs() -> Iterator[Finding]:
    found = _find_kernelspecs()
    if not found:
        yield Finding(WRONG, "Jupyter does not know the kernel. Run: daytona-kernel install --user")
    for each in found:
        name = each.spec.get("display_name", each.name)
        if not each.is_runnable:
            yield Finding(
                WRONG,
                f"The kernelspec in {each.directory} points to {each.program}, which does not exist. "
                f"To write it again, run: {_install_command(each)}. To remove it, run: "
                f"daytona-kernel uninstall --name {each.name}",
            )
        elif not _has_package(each):
            yield Finding(
                WRONG,
                f"The kernelspec in {each.directory} points to {each.program}, which does not have "
                f"daytona-kernel. Install it there, or run: daytona-kernel uninstall --name {each.name}",
            )
        elif "-P" not in each.spec["argv"]:
            yield Finding(
                WRONG,
                f"The kernelspec in {each.directory} is from an earlier version. Its kernels may run "
                f"Python files of the notebook's folder on this machine. Run: {_install_command(each)}",
            )
        else:
            yield Finding(OK, f"Jupyter knows the kernel as {name!r}, in {each.directory}")


def _find_kernelspecs() -> list[Kernelspec]:
    return kernelspecs.find(each.prefix for each in jupyter_environments.find())


def _install_command(kernelspec: Kernelspec) -> str:
    from jupyter_core.paths import jupyter_data_dir

    words = ["daytona-kernel", "install"]
    if kernelspec.directory.parents[1] == Path(jupyter_data_dir()):
        words.append("--user")
    elif kernelspec.prefix != Path(sys.prefix):
        words += ["--prefix", str(kernelspec.prefix)]
    if kernelspec.name != kernelspecs.NAME:
        words += ["--name", kernelspec.name, "--display-name", kernelspec.spec.get("display_name", "")]
    env = kernelspec.spec.get("env") or {}
    words += [f"--env={name}={value}" for name, value in env.items() if name != KERNELSPEC_VARIABLE]
    words += card_settings.words(kernelspec.settings)
    return shlex.join(words)


def _has_package(kernelspec: Kernelspec) -> bool:
    """Return whether the Python of a kernelspec can import this package. Only another Python is asked."""
    if kernelspec.python in (None, sys.executable):
        return True
    command = [kernelspec.program, "-P", "-c", _IMPORT]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_IMPORT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _jupyter() -> Iterator[Finding]:
    specs, environments = _find_kernelspecs(), jupyter_environments.find()
    for each in environments:
        place = f"Jupyter in {each.prefix} ({each.reason})"
        if not any(each.sees(spec) for spec in specs):
            command = shlex.join(["daytona-kernel", "install", "--prefix", str(each.prefix)])
            yield Finding(NOTE, f"{place} does not know the kernel. To add it, run: {command}")
        elif missing := each.missing_packages:
            yield Finding(NOTE, f"{place} {lacks(each.prefix, missing)}")
        else:
            yield Finding(OK, f"{place} shows widgets and live logs")
    if not environments:
        yield Finding(
            NOTE, "No JupyterLab or Notebook was found here. To install one, run: pip install jupyterlab"
        )


def lacks(prefix: Path, missing: list[str]) -> str:
    """Return what the pages of Jupyter in an environment cannot show, and the command that mends it."""
    command = shlex.join([str(prefix / "bin/python"), "-m", "pip", "install", *missing])
    return (
        f"lacks {' and '.join(missing)}, so widgets or live logs appear there as text. Run: {command}, "
        "then restart Jupyter and reload its pages"
    )


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
        if (unused := logins.present_dotenv()) is not None:
            yield Finding(
                NOTE,
                f"The key in {unused} is not used, because a folder may be a stranger's. To use it, run: "
                f"{shlex.join(['daytona-kernel', 'config', 'set', 'dotenv_folders', str(unused.parent)])}",
            )
        return
    every = (getattr(settings, each.name) for each in fields(settings))
    shown = ", ".join(f"{each.name} {each.shown} ({each.source})" for each in every if each.value is not None)
    yield Finding(OK, f"Cells run at Daytona: {shown}")


def _other_settings() -> Iterator[Finding]:
    try:
        found = [*process_settings(MACHINE).values(), *find_settings({}).values()]
    except DaytonaError as error:
        yield Finding(WRONG, error.message)
        return
    for each in found:
        yield Finding(OK, f"The setting {each.name} is {each.shown} ({each.source})")


def _sandbox() -> Iterator[Finding]:
    try:
        resolve()
        params = make_params(find_settings({}))
        named = find("sandbox_id")
    except DaytonaError:
        return  # the checks of the settings have said so
    try:
        # The client says on stderr where sandboxes run; `_settings` has said so.
        with redirect_stderr(StringIO()), Daytona() as daytona:
            yield from _try_named(daytona, named) if named else _try_new(daytona, params)
            if daytona.settings.embedded:
                server = embedded.start()
                mark = NOTE if server.note else OK
                yield Finding(mark, server.note or f"Sandboxes are isolated with {server.isolation}")
                yield Finding(NOTE, server.bounds)
    except DaytonaError as error:
        yield Finding(WRONG, error.message)


def _try_new(daytona: Daytona, params: CreateSandboxParams) -> Iterator[Finding]:
    start = time.monotonic()
    sandbox = daytona.create(replace(params, name=None, auto_stop_interval=5, ephemeral=True))
    try:
        created = time.monotonic() - start
        finding = _run_python(
            sandbox, f"Created a sandbox in {created:.1f} s, ran {{}} in it, and deleted it"
        )
        isolated = daytona.settings.embedded and embedded.start().isolation == "bubblewrap"
        seen = _seen_paths(sandbox) if isolated else []
    finally:
        sandbox.delete()
    yield finding
    if seen:
        yield Finding(
            OK, f"Besides the system's own, sandboxes see these files, read-only: {', '.join(seen)}"
        )


def _try_named(daytona: Daytona, named: Found) -> Iterator[Finding]:
    try:
        sandbox = daytona.get(named.value)
    except DaytonaNotFoundError:
        advice = (
            "Sandboxes of the embedded server end with their kernels. Unset the variable, or set "
            "DAYTONA_API_KEY."
            if daytona.settings.embedded
            else "Set the variable to an existing sandbox, or unset it: then each kernel creates a sandbox."
        )
        yield Finding(WRONG, f"There is no sandbox {named.value!r} ({named.source}). {advice}")
        return
    was_started = sandbox.state == "started"
    if not was_started:
        sandbox.start()
    try:
        more = "" if was_started else ", which was stopped, and stopped it again"
        finding = _run_python(sandbox, f"Ran {{}} in sandbox {sandbox.name} ({named.source}){more}")
    finally:
        if not was_started:
            sandbox.stop()
    yield finding


def _seen_paths(sandbox: Sandbox) -> list[str]:
    """Return what the sandbox sees of this machine besides the system and what every sandbox has."""
    points = set(sandbox.process.exec("cut -d ' ' -f 5 /proc/self/mountinfo").result.splitlines())
    return sorted(point for point in points - _OF_EVERY_SANDBOX if not _SYSTEM.match(point))


def _run_python(sandbox: Sandbox, success: str) -> Finding:
    """Run code in a sandbox. success: the sentence if that works, with a place for Python's version."""
    python = sandbox.process.exec("python3 --version").result.strip()
    answer = sandbox.process.code_run("print(6 * 7)")
    if answer.exit_code != 0 or answer.result.strip() != "42":
        return Finding(
            WRONG, f"Python does not run in the sandbox: {answer.result.strip() or 'it printed nothing'}"
        )
    return Finding(OK, success.format(python))
