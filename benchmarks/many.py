"""Many kernels at once: `python -m benchmarks.many [--kernels N] [--rounds N]`.

All kernels start together, and each runs one cell. The Markdown table has the seconds from the first start
to the last result: for ipykernel, for this kernel with an embedded server each, and with one
`daytona-kernel serve` for all. It also has the CPU time and the memory (PSS) of all processes per kernel, the
seconds until all have ended, and the number of processes that are left then. CPU time hardly depends on what
else the machine does.

All programs find their bytecode, as installed ones do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from jupyter_client.manager import KernelManager

from tests.served import serving

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient

DEADLINE = 120
_ENDING_SECONDS = 15.0
# After a sandbox, `daytona-kernel serve` makes a box ready for the next one within so many seconds.
_PREPARING_SECONDS = 8.0


@dataclass
class Round:
    """The measurements of one round: seconds, and CPU seconds and MB a kernel."""

    started: float
    cpu: float
    ended: float
    memory: float
    failed: int
    left: int


def run_round(name: str, count: int, environment: dict[str, str]) -> Round:
    """Start kernels of a kernelspec at once, run a cell in each, and end them."""
    time.sleep(_PREPARING_SECONDS)
    before = set(_processes())
    start = time.perf_counter()
    managers = [KernelManager(kernel_name=name) for _ in range(count)]
    for manager in managers:
        manager.start_kernel(env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    clients = [manager.client() for manager in managers]
    for client in clients:
        client.start_channels()
    asked = {}
    for client in clients:
        if _is_ready(client):
            asked[client] = client.execute("6 * 7")
    failed = count - len(asked)
    for client, msg_id in asked.items():
        reply = client.get_shell_msg(timeout=DEADLINE)
        while reply["parent_header"].get("msg_id") != msg_id:
            reply = client.get_shell_msg(timeout=DEADLINE)
        failed += reply["content"]["status"] != "ok"
    started = time.perf_counter() - start
    cpu = sum(_cpu(each) for each in set(_processes()) - before) / count
    memory = sum(_memory(each) for each in set(_processes()) - before) / count / 1e6
    start = time.perf_counter()
    for client in clients:
        client.stop_channels()
    for manager in managers:
        manager.request_shutdown()
    for manager in managers:
        manager.finish_shutdown()
        manager.cleanup_resources()
    ended = time.perf_counter() - start
    left = _left(before)
    return Round(started, cpu, ended, memory, failed, left)


def _is_ready(client: BlockingKernelClient) -> bool:
    """Wait for a kernel; return False if it has ended or does not answer."""
    try:
        client.wait_for_ready(timeout=DEADLINE)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return False
    return True


def _left(before: set[psutil.Process]) -> int:
    """Wait a moment for the end of processes, and return how many more there are than before.

    `daytona-kernel serve` has another box ready than before.
    """
    deadline = time.monotonic() + _ENDING_SECONDS
    while len(_processes()) > len(before) and time.monotonic() < deadline:
        time.sleep(0.1)
    return max(len(_processes()) - len(before), 0)


def _processes() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _cpu(process: psutil.Process) -> float:
    """Return the CPU time of a process and of the children that it has waited for."""
    with suppress(psutil.NoSuchProcess):
        return float(sum(process.cpu_times()[:4]))
    return 0.0


def _memory(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().pss)
    return 0


def main() -> None:
    """Measure in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        served = stack.enter_context(serving(root))
        kinds = {
            "ipykernel": ("python3", {}),
            "an embedded server each": ("daytona", {}),
            "one `daytona-kernel serve`": ("daytona", served),
        }
        for name, environment in kinds.values():  # the first of each kind takes longer
            run_round(name, 1, environment)
        rounds: dict[str, list[Round]] = {kind: [] for kind in kinds}
        for _ in range(arguments.rounds):
            for kind, (name, environment) in kinds.items():
                rounds[kind].append(run_round(name, arguments.kernels, environment))
                print(f"{kind}: {rounds[kind][-1]}", file=sys.stderr)
    base, base_cpu = (
        statistics.median(getattr(each, field) for each in rounds["ipykernel"])
        for field in ("started", "cpu")
    )
    print(f"{arguments.kernels} kernels, {os.cpu_count()} cores, medians of {arguments.rounds} rounds\n")
    print(
        "| | to the last result | ratio | CPU a kernel | ratio | MB a kernel | to the end | failed | left |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for kind, measured in rounds.items():
        started, cpu, ended, memory = (
            statistics.median(getattr(each, field) for each in measured)
            for field in ("started", "cpu", "ended", "memory")
        )
        failed, left = (sum(getattr(each, field) for each in measured) for field in ("failed", "left"))
        times = f"{started:.1f} s | {started / base:.2f} | {cpu:.2f} s | {cpu / base_cpu:.2f}"
        print(f"| {kind} | {times} | {memory:.0f} | {ended:.1f} s | {failed} | {left} |")


if __name__ == "__main__":
    main()
