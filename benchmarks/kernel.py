"""The kernel next to ipykernel: `python -m benchmarks.kernel` or `make bench`.

Both kernels run on this machine at the same time, and each measurement alternates between them. The
Markdown table has the medians and their ratio. The sandbox is the embedded server's.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_client.manager import KernelManager

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_client.blocking.client import BlockingKernelClient

NAMES = ("python3", "daytona")
DEADLINE = 60  # seconds to wait for a message


def start(name: str) -> tuple[KernelManager, BlockingKernelClient]:
    """Start a kernel by its kernelspec's name and connect a client to it."""
    manager = KernelManager(kernel_name=name)
    with Path(os.devnull).open("w") as null:
        manager.start_kernel(stderr=null)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=DEADLINE)
    return manager, client


def seconds_to_first_result(name: str) -> float:
    """Return the seconds from a kernel's start to the result of its first cell."""
    start_time = time.perf_counter()
    manager, client = start(name)
    execute(client, "1+1")
    seconds = time.perf_counter() - start_time
    client.stop_channels()
    manager.shutdown_kernel()
    return seconds


def seconds_to_first_completion(name: str) -> float:
    """Return the seconds that a kernel takes for its first request, a completion. Raises if it is wrong."""
    manager, client = start(name)
    code = "import os; os.path.jo"
    start_time = time.perf_counter()
    reply = client.complete(code, len(code), reply=True, timeout=DEADLINE)
    seconds = time.perf_counter() - start_time
    client.stop_channels()
    manager.shutdown_kernel()
    if "join" not in reply["content"]["matches"]:
        raise RuntimeError(f"{name} does not complete {code}: {reply['content']}")
    return seconds


def execute(client: BlockingKernelClient, code: str, until: str = "idle") -> float:
    """Return the seconds from sending a cell to its idle status and reply, or to its first output.

    until: "idle" or "first".
    """
    start_time = time.perf_counter()
    msg_id = client.execute(code)
    first = None
    while True:
        message = client.get_iopub_msg(timeout=DEADLINE)
        if message["parent_header"].get("msg_id") != msg_id:
            continue
        if message["msg_type"] == "stream" and first is None:
            first = time.perf_counter() - start_time
        if message["content"].get("execution_state") == "idle":
            break
    client.get_shell_msg(timeout=DEADLINE)
    return time.perf_counter() - start_time if until == "idle" or first is None else first


def request(client: BlockingKernelClient, send: Callable[[], str]) -> float:
    """Return the seconds from a request on the shell channel to its reply."""
    start_time = time.perf_counter()
    msg_id = send()
    while client.get_shell_msg(timeout=DEADLINE)["parent_header"].get("msg_id") != msg_id:
        pass
    return time.perf_counter() - start_time


def interrupt(manager: KernelManager, client: BlockingKernelClient, code: str) -> float:
    """Return the seconds from an interrupt to the idle status. The interrupt follows the first output."""
    msg_id = client.execute(f"print('go', flush=True)\n{code}")
    start_time = 0.0
    while True:
        message = client.get_iopub_msg(timeout=DEADLINE)
        if message["parent_header"].get("msg_id") != msg_id:
            continue
        if message["msg_type"] == "stream" and not start_time:
            start_time = time.perf_counter()
            manager.interrupt_kernel()
        if message["content"].get("execution_state") == "idle":
            client.get_shell_msg(timeout=DEADLINE)
            return time.perf_counter() - start_time


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=100, help="rounds of the short measurements")
    repeat = parser.parse_args().repeat
    kernels = {name: start(name) for name in NAMES}
    long = max(repeat // 20, 3)
    string = "print('x' * 20_000_000)"
    display = "display({'text/plain': 'x' * 20_000_000}, raw=True)"
    rows: list[tuple[str, int, Callable[[str], float]]] = [
        ("empty cell", repeat, lambda name: execute(kernels[name][1], "")),
        ("`1+1`", repeat, lambda name: execute(kernels[name][1], "1+1")),
        (
            "100,000 printed lines",
            long,
            lambda n: execute(kernels[n][1], "for i in range(100_000): print(i)"),
        ),
        ("one 20 MB string", long, lambda name: execute(kernels[name][1], string)),
        ("20 MB of display data", long, lambda name: execute(kernels[name][1], display)),
        ("first printed line", repeat, lambda n: execute(kernels[n][1], "print(1, flush=True)", "first")),
        ("completion", repeat, lambda n: request(kernels[n][1], lambda: kernels[n][1].complete("impor", 5))),
        ("inspection", repeat, lambda n: request(kernels[n][1], lambda: kernels[n][1].inspect("print", 5))),
        ("interrupt of a sleep", long, lambda n: interrupt(*kernels[n], "import time; time.sleep(30)")),
        ("interrupt of a busy loop", long, lambda n: interrupt(*kernels[n], "while True: pass")),
        (
            "interrupt of a subprocess",
            long,
            lambda n: interrupt(*kernels[n], "import subprocess; subprocess.run(['sleep', '30'])"),
        ),
    ]
    table = []
    for label, count, measure in rows:
        for name in NAMES:
            measure(name)
        table.append((label, *medians(count, measure)))
    for manager, client in kernels.values():
        client.stop_channels()
        manager.shutdown_kernel()
    starts = [
        ("kernel start to first result", seconds_to_first_result),
        ("first completion of a new kernel", seconds_to_first_completion),
    ]
    table[:0] = [(label, *medians(max(repeat // 10, 3), measure)) for label, measure in starts]

    cpu = platform.processor() or platform.machine()
    print(f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {os.cpu_count()} cores {cpu}\n")
    print("| | ipykernel | daytona, embedded | ratio |\n|---|---:|---:|---:|")
    for label, ours, theirs in ((label, d, i) for label, i, d in table):
        print(f"| {label} | {theirs * 1000:,.1f} ms | {ours * 1000:,.1f} ms | {ours / theirs:.2f} |")


def medians(count: int, measure: Callable[[str], float]) -> tuple[float, float]:
    """Return the median seconds of ipykernel and of this kernel, measured in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(count):
        for name in NAMES:
            seconds[name].append(measure(name))
    return statistics.median(seconds["python3"]), statistics.median(seconds["daytona"])


if __name__ == "__main__":
    main()
