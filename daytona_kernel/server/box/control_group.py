"""Control groups: the bounds of all processes of a box together (cgroup v2).

A server needs a group under which its user may make groups with bounds. It takes the nearest one above its
own. systemd gives such a group to the programs that a person's own manager starts. Root may use any. The
server's own group does not serve: a group that has processes cannot bound the groups under it.

A box is in its group before anything of a person runs in it, and cannot write to it: with bubblewrap the
group's files are read-only, and with Landlock they cannot be opened. If the memory is used up, the kernel
ends the largest process and not the whole group: mostly the interpreter. The agent lives on, and says why.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

from .. import limits
from ..inside.supervisor import alive_below

GROUP_SEEN_AS = "/sys/fs/cgroup"  # where programs look for their bounds

_PREFIX = "daytona-kernel-"
_NEEDED = frozenset({"memory", "pids"})
_WANTED = _NEEDED | {"cpu"}
_PERIOD = 100_000  # microseconds in which a box may use its cores for as long as each of them lasts
_END_SECONDS = 60.0  # until a group whose processes were killed is empty: thousands take long
_POLL = 0.002


class Size(NamedTuple):
    """The cores of a box, and its memory in GiB."""

    cpus: int
    memory: int


class NoGroupsError(Exception):
    """A server can make no groups. The message is a clause that says why."""


class ControlGroup:
    """The group of one box, a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def bound(self, size: Size) -> None:
        """Set the bounds. Raises `OSError`."""
        self._write("memory.max", limits.memory_bytes(size.memory))
        self._write("pids.max", limits.RESOURCE_LIMITS["NPROC"])
        if (self.path / "memory.swap.max").exists():  # not on a machine without swap
            self._write("memory.swap.max", 0)
        if (self.path / "cpu.max").exists():
            quota = size.cpus * _PERIOD if size.cpus < (os.cpu_count() or 1) else "max"
            self._write("cpu.max", f"{quota} {_PERIOD}")

    def _write(self, name: str, value: int | str) -> None:
        (self.path / name).write_text(str(value))

    def take(self, pid: int) -> None:
        """Move a process and all below it into the group. Raises `OSError`. This may block for some time."""
        while outside := set(alive_below([pid])) - self._processes():
            for each in outside:
                with contextlib.suppress(ProcessLookupError):
                    self._write("cgroup.procs", each)

    def _processes(self) -> set[int]:
        return set(map(int, (self.path / "cgroup.procs").read_text().split()))

    def seconds(self) -> float:
        """Return how long its processes have used cores. Raises `OSError`."""
        return _numbers(self.path / "cpu.stat")["usage_usec"] / 1e6

    def memory(self) -> tuple[int, int, int]:
        """Return the bytes that it uses, those of its files' cache, and its bound. Raises `OSError`."""
        # The kernel frees the cache of files that were not read lately when a process needs memory.
        cached = _numbers(self.path / "memory.stat").get("inactive_file", 0)
        current, bound = (int((self.path / f"memory.{name}").read_text()) for name in ("current", "max"))
        return max(0, current - cached), cached, bound

    def kill(self) -> None:
        """Kill all processes, also those that fork faster than others could. Linux before 5.14 kills none."""
        with contextlib.suppress(OSError):
            self._write("cgroup.kill", 1)

    def remove(self) -> bool:
        """Kill all processes and remove the group; return whether it is gone. This may block."""
        deadline = time.monotonic() + _END_SECONDS
        while True:
            self.kill()
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return True
            except OSError:  # its processes have not ended yet
                if time.monotonic() > deadline:
                    return False
                time.sleep(_POLL)
            else:
                return True


class ControlGroups:
    """The groups of one server. They are in a group of their own, whose path is in the file `record`.

    A thread makes that group and tries it while the server starts.
    """

    def __init__(self, record: Path) -> None:
        self._record = record
        self._own = Path()
        self._controllers: set[str] = set()
        self._failure: str | None = None
        self._start = threading.Thread(target=self._make_own, name="control groups")
        self._start.start()

    def failure(self) -> str | None:
        """Return why there are no groups, as a clause; `None` if there are."""
        self._start.join()
        return self._failure

    @property
    def bound_cores(self) -> bool:
        """Whether they bound the use of cores, too."""
        return "cpu" in self._controllers

    def make(self, name: str, size: Size) -> ControlGroup:
        """Return a new group for a box. Raises `OSError`."""
        group = ControlGroup(self._own / name)
        group.path.mkdir(exist_ok=True)
        group.bound(size)
        return group

    def _make_own(self) -> None:
        try:
            self._own = find_parent() / f"{_PREFIX}{secrets.token_hex(8)}"
            self._record.write_text(str(self._own))  # first, so that a later server finds it
            self._own.mkdir()
            self._controllers = _words(self._own / "cgroup.controllers") & _WANTED
            _enable(self._own, self._controllers)
            self._try()
        except (NoGroupsError, OSError) as error:
            text = f"no control group can be made ({error})" if isinstance(error, OSError) else str(error)
            self._failure = text
            remove_groups(self._record)

    def _try(self) -> None:
        """Move a process into a group, as for a box."""
        group = self.make("trial", Size(1, 1))
        with subprocess.Popen(["/bin/sleep", "60"], env={}) as process:
            try:
                group.take(process.pid)
            finally:
                process.kill()
        group.remove()


def remove_groups(record: Path) -> bool:
    """Kill the processes of a server's groups and remove the groups. Return whether they are gone."""
    try:
        own = Path(record.read_text())
        groups = [entry for entry in own.iterdir() if entry.is_dir()]
    except FileNotFoundError:
        return True
    except OSError:
        return False
    if not own.name.startswith(_PREFIX):
        return False
    removed = [ControlGroup(path).remove() for path in [*groups, own]]
    return all(removed)


def find_parent() -> Path:
    """Return the group below which this server may make groups with bounds. Raises `NoGroupsError`."""
    found = own_group(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())
    if found is None or not _words(found[0] / "cgroup.controllers") >= _NEEDED:
        raise NoGroupsError("this machine has no cgroup v2 for memory and processes")
    parent = nearest_parent(*found)
    if parent is None:
        manager = Path(f"/run/user/{os.getuid()}/systemd")
        remedy = (
            "; `systemd-run --user --scope jupyter lab` starts Jupyter in one" if manager.exists() else ""
        )
        raise NoGroupsError(f"no control group is delegated to this user{remedy}")
    return parent


def own_group(mounts: str, groups: str) -> tuple[Path, Path] | None:
    """Return the top of cgroup v2 as it is mounted, and this process's group there; None if neither is seen.

    `mounts` and `groups` are the contents of the process's files `mountinfo` and `cgroup`.
    """
    path = next((line[3:] for line in groups.splitlines() if line.startswith("0::")), None)
    if path is None or path.startswith("/.."):  # it is above the namespace
        return None
    for line in mounts.splitlines():
        words, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 "):
            root, point = words.split()[3:5]
            below = os.path.relpath(path, root)
            if not below.startswith(".."):
                return Path(point), Path(os.path.normpath(f"{point}/{below}"))
    return None


def nearest_parent(top: Path, own: Path) -> Path | None:
    """Return the first of `own` and the groups above it, up to `top`, that can bound groups of this user."""
    candidates = [group for group in (own, *own.parents) if group == top or top in group.parents]
    return next(filter(_bounds_groups, candidates), None)


def _bounds_groups(group: Path) -> bool:
    """Return whether this user may make groups with bounds below `group`. Let it bound them, if it can."""
    if not all(os.access(path, os.W_OK) for path in (group, group / "cgroup.procs")):
        return False
    if _words(group / "cgroup.subtree_control") >= _NEEDED:
        return True
    available = _words(group / "cgroup.controllers") & _WANTED
    if not available >= _NEEDED:
        return False
    try:
        _enable(group, available)
    except OSError:  # it has processes
        return False
    return True


def _enable(group: Path, controllers: set[str] | frozenset[str]) -> None:
    text = " ".join(f"+{name}" for name in sorted(controllers))
    (group / "cgroup.subtree_control").write_text(text)


def _words(path: Path) -> set[str]:
    """Return the words of a file; no words if it cannot be read."""
    try:
        return set(path.read_text().split())
    except OSError:
        return set()


def _numbers(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
