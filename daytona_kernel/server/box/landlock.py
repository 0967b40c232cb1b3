"""Isolation by Landlock: what a sandbox may do on a machine that forbids user namespaces, and a test of it.

Landlock is a part of the Linux kernel that needs no privileges. A sandbox sees the machine's own paths, and
can open only those of its box and of the machine's programs. It signals and traces only its own processes. A
filter refuses all sockets but TCP and unix ones, and `guard` makes their connections. A sandbox
still sees which processes and files there are: see docs/security.md.
"""

from __future__ import annotations

import contextlib
import itertools
import marshal
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..guard import domain
from ..guard.domain import CHANGE, READ, USE_DEVICE
from . import mounts, seccomp
from .account import Account
from .confining_filter import confining_filter
from .etc import COPIED, current_copy
from .launchers import current_launchers
from .network import Network, name_servers, own_networks
from .python_environment import base_python, seen_directories
from .python_files import SYSTEM
from .supervisor_client import SUPERVISOR_PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .control_group import ControlGroups

ABI = 6  # of Linux 6.12: the first that keeps signals and abstract sockets apart

_READ_FILE, _LIST, _WRITE_FILE = 1 << 2, 1 << 3, 1 << 1
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx")
_SHARED_SETTINGS = ("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf")
_KERNEL_FILES = ("/proc", "/sys/devices/system/cpu", "/sys/devices/system/node")
_OWN = ("home", "workspace", "tmp", "python")  # the directories of a box that its sandbox changes
_RUN = "import sys; sys.path.append(sys.argv.pop(1)); from daytona_kernel.server.guard import {0}; {0}.main()"
_TRIAL_SECONDS = 20.0
_TRIAL = """
import os, socket, sys
for path in sys.argv[2:]:
    os.listdir(path)
os.chdir(sys.argv[1])
def refused(action, *arguments):
    try:
        action(*arguments)
    except PermissionError:
        return
    sys.exit("it does not keep a sandbox apart here")
refused(open, "canary")
refused(os.chmod, "canary", 0o600)
refused(os.kill, os.getppid(), 0)
for family, address in ((socket.AF_UNIX, "socket"), (socket.AF_INET, ("127.0.0.1", 9))):
    refused(socket.socket(family).connect, address)
"""


class Landlock:
    """Landlock with the network that sandboxes have if they have no other wishes.

    `groups` makes the control groups of the boxes; `None` for none.
    """

    groups: ControlGroups | None = None

    # Names are looked up over TCP, because a sandbox gets no other sockets.
    environment: ClassVar = {"RES_OPTIONS": "use-vc"}

    def __init__(self, wanted_network: str) -> None:
        self.account = Account(os.getuid(), os.getgid())
        kind = wanted_network if wanted_network in ("host", "none") else "own"
        self.network = Network(kind)

    @contextlib.contextmanager
    def prefix(self, directory: Path, network: Network) -> Iterator[tuple[list[str], list[int]]]:
        """Yield a command prefix that isolates a process of the box in `directory`.

        Yields also the descriptors that the process must inherit.
        """
        box = os.path.realpath(directory)
        allowed = None if network.allowed is None else list(network.allowed)
        policy = ([f"{box}/{part}" for part in _OWN], network.kind, allowed, own_networks(), name_servers())
        filters = [seccomp.program(), confining_filter(udp=network.kind == "host")]
        rules = [*_rules_of_the_machine(str(directory.parent)), *_rules_of_the_box(box)]
        specification = (rules, network.kind != "host", filters)
        with _file("policy", policy) as first, _file("specification", specification) as second:
            command = [*_program("process"), str(first), *_program("domain"), str(second), "--"]
            yield command, [first, second]


def _program(name: str) -> list[str]:
    """Return the command that runs a program of `guard`."""
    return [base_python(), "-I", "-S", "-c", _RUN.format(name), str(Path(__file__).parents[3])]


@contextlib.contextmanager
def _file(name: str, content: tuple[Any, ...]) -> Iterator[int]:
    with os.fdopen(os.memfd_create(name), "wb", buffering=0) as file:
        file.write(marshal.dumps(content))
        file.seek(0)
        yield file.fileno()


def _rules_of_the_machine(fallback: str) -> list[tuple[str, int]]:
    readable = [*SYSTEM, *mounts.SYSTEM_FILES, *_KERNEL_FILES, *_SHARED_SETTINGS]
    options = mounts.outside()
    readable += [path for source, path in itertools.pairwise(options) if source == path]
    searched = {os.path.dirname(path) for path in readable}.intersection(sys.path)
    readable += [str(SUPERVISOR_PROGRAM), current_launchers("/usr/bin/env python3", fallback, isolated=True)]
    return [
        *((path, READ) for path in readable),
        *((path, _LIST) for path in [*COPIED, *searched]),
        *((path, READ) for path in _settings(fallback)),
        *((f"/dev/{name}", USE_DEVICE) for name in _DEVICES),
    ]


def _settings(fallback: str) -> Iterator[str]:
    """Yield the files of /etc that have no secrets: those that an isolated sandbox gets as a copy."""
    copy = current_copy("/", fallback)
    for root in COPIED:
        for directory, _, names in os.walk(f"{copy}{root}"):
            for name in names:
                copied = f"{directory}/{name}"
                if not os.path.islink(copied):
                    yield copied.removeprefix(copy)


def _rules_of_the_box(box: str) -> list[tuple[str, int]]:
    own = [(f"{box}/{part}", CHANGE) for part in _OWN]
    return [*own, (f"{box}/run", READ | _WRITE_FILE), (f"{box}/programs", READ)]


def failure(wanted_network: str) -> str | None:
    """Return why Landlock does not hold on this machine, as a clause; `None` if it does."""
    version = domain.abi()
    if version == 0:
        return "this machine's Linux kernel has no Landlock"
    if version < ABI:
        return f"the Landlock of this machine's Linux kernel is too old (version {version}, not {ABI})"
    if confining_filter(udp=False) is None:
        return "there is no filter of system calls for this machine's processor"
    with tempfile.TemporaryDirectory(prefix="daytona-trial-") as place:
        return _try(Landlock("none" if wanted_network == "none" else "own"), Path(place))


def _try(landlock: Landlock, place: Path) -> str | None:
    import socket

    box = place / "sandboxes" / "box"
    for part in ("home", "workspace", "tmp", "python", "run", "programs"):
        (box / part).mkdir(parents=True)
    (place / "canary").write_text("")
    with socket.socket(socket.AF_UNIX) as listener:
        # The path of a temporary directory may be too long for the address of a socket.
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            listener.bind(f"/proc/self/fd/{descriptor}/socket")
        finally:
            os.close(descriptor)
        listener.listen()
        with landlock.prefix(box, landlock.network) as (prefix, inherited):
            code = [base_python(), "-I", "-S", "-c", _TRIAL, str(place)]
            try:
                done = subprocess.run(
                    [*prefix, *code, *seen_directories()],
                    pass_fds=inherited,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=_TRIAL_SECONDS,
                    env={},
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return f"the test of Landlock took longer than {_TRIAL_SECONDS:.0f} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return f"Landlock does not work here ({lines[-1] if lines else 'no reason given'})"
