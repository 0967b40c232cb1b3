"""What the interpreter and the whole sandbox use, as a `usage_reply` says it.

Measured from outside, so that it is also answered while C code holds the interpreter's lock. The
"kernel" is the interpreter and what it has started. The "host" is the sandbox: its control group
where it has one of its own, as a container does; else all processes that can be seen from here, which
are the sandbox's where it has a process namespace, and the machine's where nothing isolates it.
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
    """seconds: of CPU, with those of its children that have ended. resident: bytes."""

    pid: int
    parent: int
    seconds: float
    resident: int


class Usage:
    """Measures CPU from one report to the next, the first time from its making."""

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
        # Another interpreter began with nothing; and a sum falls when one who has worked is seen no more.
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


def _processes() -> list[_Process]:
    found = []
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit():
            continue
        try:
            stat = (_PROC / entry.name / "stat").read_text(errors="replace")
        except OSError:
            continue  # it has ended
        # The name, in parentheses, may hold anything.
        fields = stat.rpartition(")")[2].split()
        seconds = sum(map(int, fields[11:15])) / _TICKS
        found.append(_Process(int(entry.name), int(fields[1]), seconds, int(fields[21]) * _PAGE))
    return found


def _descendants(root: int, processes: Iterable[_Process]) -> list[_Process]:
    """A process and all that it has started, as far as they have not been left to init."""
    children: dict[int, list[_Process]] = {}
    found = []
    for each in processes:
        children.setdefault(each.parent, []).append(each)
        if each.pid == root:
            found.append(each)
    for each in found:  # grows meanwhile
        found += children.get(each.pid, [])
    return found


def _memory(process: _Process) -> int:
    """Its bytes, with a fair share of what it shares with others."""
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
        # What files have left in memory is given back when somebody wants it.
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
    """Bytes that the sandbox may use: those of its group, or of one process where that is limited."""
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
    # The root of all groups does not count its memory.
    return (_GROUP / "memory.current").exists()


def _table(path: Path) -> dict[str, int]:
    """A file of lines with a name and a number."""
    lines = (line.replace(":", " ").split() for line in path.read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}
