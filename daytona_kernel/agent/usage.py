"""The CPU and memory of the interpreter and of the whole sandbox, for a `usage_reply`.

The agent measures from outside, so that it answers even while C code holds the interpreter lock. The
reply's "kernel" is the interpreter's process tree. Its "host" is the sandbox: its control group if it has
one, as a container does; otherwise all processes that are visible here. Those are the sandbox's if it has a
process namespace, and the machine's if nothing isolates it.
"""

from __future__ import annotations

import os
import resource
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROC = Path("/proc")
_GROUP = Path("/sys/fs/cgroup")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class _Process:
    """A process. seconds: of CPU, including children that have ended. resident: bytes."""

    pid: int
    parent: int
    seconds: float
    resident: int


class Usage:
    """Measures the CPU used since the previous report, or since this object was made."""

    def __init__(self) -> None:
        self._interpreter: tuple[int, float] = (0, 0.0)
        self._sandbox = _sandbox_seconds(_processes())
        self._time = time.monotonic()

    def report(self, interpreter: int) -> dict[str, Any]:
        """Return the content of a reply. interpreter: its process id."""
        processes = _processes()
        tree = _descendants(interpreter, processes)
        before, sandbox_before, began = self._interpreter, self._sandbox, self._time
        self._interpreter = (interpreter, sum(each.seconds for each in tree))
        self._sandbox = _sandbox_seconds(processes)
        self._time = time.monotonic()
        elapsed = max(self._time - began, 0.001)
        # A new interpreter starts at zero, and a sum shrinks when a process that has worked is gone.
        worked = self._interpreter[1] - (before[1] if before[0] == interpreter else 0.0)
        cpus = _cpu_count()
        sandbox_worked = max(self._sandbox - sandbox_before, 0.0)
        return {
            "hostname": socket.gethostname(),
            "pid": interpreter,
            "kernel_cpu": round(100 * max(worked, 0.0) / elapsed, 1),
            "kernel_memory": sum(_memory(each) for each in tree),
            "cpu_count": cpus,
            "host_cpu_percent": round(min(100 * sandbox_worked / elapsed / cpus, 100.0), 1),
            "host_virtual_memory": _sandbox_memory(processes),
        }


def memory_kills() -> int:
    """Return how many processes of the sandbox were killed because its memory was used up; 0 if unknown."""
    try:
        return _table(_GROUP / "memory.events").get("oom_kill", 0)
    except OSError:
        return 0


def _processes() -> list[_Process]:
    found = []
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit():
            continue
        try:
            stat = (_PROC / entry.name / "stat").read_text(errors="replace")
        except OSError:
            continue  # it has ended
        # The process's name, in parentheses, may contain spaces and parentheses.
        fields = stat.rpartition(")")[2].split()
        seconds = sum(map(int, fields[11:15])) / _TICKS
        found.append(_Process(int(entry.name), int(fields[1]), seconds, int(fields[21]) * _PAGE))
    return found


def _descendants(root: int, processes: Iterable[_Process]) -> list[_Process]:
    """Return a process and its descendants, except for those that init has adopted."""
    children: dict[int, list[_Process]] = {}
    found = []
    for each in processes:
        children.setdefault(each.parent, []).append(each)
        if each.pid == root:
            found.append(each)
    for each in found:  # `found` grows in this loop
        found += children.get(each.pid, [])
    return found


def _memory(process: _Process) -> int:
    """Return the process's bytes, with its share of the memory that processes share."""
    try:
        for line in (_PROC / str(process.pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return process.resident


def _sandbox_seconds(processes: Iterable[_Process]) -> float:
    if _has_group():
        return _table(_GROUP / "cpu.stat")["usage_usec"] / 1e6
    return sum(each.seconds for each in processes)


def _sandbox_memory(processes: Iterable[_Process]) -> dict[str, Any]:
    total = min(_table(_PROC / "meminfo")["MemTotal"] * 1024, _limit())
    if _has_group():
        # The system frees the cache of files when a process needs memory.
        cached = _table(_GROUP / "memory.stat").get("inactive_file", 0)
        used = int((_GROUP / "memory.current").read_text()) - cached
    else:
        used = sum(map(_memory, processes))
    used = min(max(used, 0), total)
    return {
        "total": total,
        "available": total - used,
        "percent": round(100 * used / total, 1),
        "used": used,
        "free": total - used,
        "active": used,
        "inactive": 0,
    }


def _limit() -> int:
    """Return the bytes that the sandbox may use: the limit of its group or, if lower, of one process."""
    unlimited = 1 << 62
    limits = [resource.getrlimit(resource.RLIMIT_DATA)[0]]
    try:
        limits.append(int((_GROUP / "memory.max").read_text()))
    except (OSError, ValueError):
        pass  # there is no group, or its limit is "max"
    return min([limit for limit in limits if limit > 0], default=unlimited)


def _cpu_count() -> int:
    cpus = len(os.sched_getaffinity(0))
    try:
        quota, period = map(int, (_GROUP / "cpu.max").read_text().split())
    except (OSError, ValueError):
        return cpus
    return max(1, min(cpus, -(-quota // period)))


def _has_group() -> bool:
    # The root of all groups has no such file.
    return (_GROUP / "memory.current").exists()


def _table(path: Path) -> dict[str, int]:
    """Return the numbers by name in a file whose lines have a name and a number."""
    lines = (line.replace(":", " ").split() for line in path.read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}
