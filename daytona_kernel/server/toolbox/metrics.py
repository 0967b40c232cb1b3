"""How much of its cores, memory and disk a sandbox uses, as its control group or the machine counts it."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import limits
from ..inside.supervisor import alive_below
from ..timestamps import timestamp

if TYPE_CHECKING:
    from ..box.supervisor_client import SupervisorClient
    from .sandbox import Description

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")  # in a second


class Metrics:
    """The usage of one sandbox. The use of its cores is the average since the request before."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._before: tuple[float, float] | None = None  # monotonic time, and seconds of cores until then

    def describe(self, supervisor: SupervisorClient, directory: Path) -> dict[str, Any]:
        """Return what `supervisor` and all below it use, and the disk of `directory`, in the API's JSON."""
        if supervisor.group is not None:
            busy = supervisor.group.seconds()
            used, cached, most = supervisor.group.memory()
        else:
            busy, used = _used_below(supervisor.first_pid)
            cached, most = 0, self._description.memory * limits.GIB
        now = time.monotonic()
        before, self._before = self._before, (now, busy)
        cores = self._description.cpu
        share = 0.0
        if before is not None and now > before[0]:
            share = max(0.0, busy - before[1]) / (now - before[0]) / cores
        disk = shutil.disk_usage(directory)
        return {
            "timestamp": timestamp(),
            "timestampUnix": int(time.time()),
            "cpuCount": cores,
            "cpuUsedPct": round(100 * share, 2),
            "memTotal": most,
            "memUsed": used,
            "memCache": cached,
            "diskTotal": disk.total,
            "diskUsed": disk.used,
            "diskFree": disk.free,
        }


def _used_below(first_pid: int) -> tuple[float, int]:
    """Return the seconds of cores and the bytes of memory that a process and all below it have used."""
    busy, used = 0.0, 0
    for pid in alive_below([first_pid]):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has just ended
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            busy += (int(fields[11]) + int(fields[12])) / _TICKS
            used += int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    return busy, used
