"""Live logs under load, from the process in the sandbox to the page.

    python -m benchmarks.logs [--cells N]

A kernel follows commands that print as fast as they can. A page like a browser's receives the log
and runs empty cells at the same time. The Markdown table compares them: "× idle" divides the cells'
median by the median just before. "memory" is the highest increase (PSS) of the kernel's process,
including the page's window of each log. "download" is the whole log, compared with the output.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import platform
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from tests.views.pages import Page, SandboxKernel

if TYPE_CHECKING:
    from collections.abc import Iterable

LINE_CLOCK = "for i in $(seq 60); do date +%s.%N; sleep 0.03; done"
ENOUGH_SECONDS = 30.0


@dataclass
class Flood:
    """A command with much output.

    size: the bytes of its output; None if it prints until it is stopped.
    content: the output, to compare a download with. views: the number of logs at the same time.
    """

    what: str
    command: str
    size: int | None = None
    content: Iterable[bytes] = ()
    views: int = 1


@dataclass
class Measured:
    """The measurements of one flood: seconds, messages a second, and bytes."""

    cells: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    largest: int = 0
    memory: int = 0
    shown: float | None = None
    stopped: float | None = None
    download: str = ""


FLOODS = (
    Flood(
        "1,000,000 lines",
        "seq 1 1000000",
        6_888_896,
        (b"%d\n" % number for number in range(1, 1_000_001)),
    ),
    Flood(
        "50 MB in one line",
        "head -c 50000000 /dev/zero | tr '\\0' x",
        50_000_000,
        itertools.repeat(b"x" * 50_000, 1000),
    ),
    Flood("`yes`", "yes"),
    Flood(
        "a progress bar, 1,000 times a second", "while :; do printf '\\rdone %d' $((i++)); sleep 0.001; done"
    ),
    Flood("20 commands, each 2,000 lines a second", "while :; do seq 1 200; sleep 0.1; done", views=20),
)


class Bench:
    """A kernel and the measurements with it.

    cells: the number of empty cells to run next to each flood.
    """

    def __init__(self, cells: int) -> None:
        self.kernel = SandboxKernel()
        self.process = psutil.Process(self.kernel.manager.provisioner.pid)
        self._cells = cells
        self._names = itertools.count()

    def measure(self, flood: Flood) -> Measured:
        """Run a flood repeatedly until enough cells have run next to it."""
        measured = Measured()
        deadline = time.monotonic() + ENOUGH_SECONDS
        while len(measured.cells) < self._cells and time.monotonic() < deadline:
            self._measure_once(flood, measured)
        return measured

    def _measure_once(self, flood: Flood, measured: Measured) -> None:
        for _ in range(self._cells):
            measured.idle.append(self.cell())
        before = self.process.memory_full_info().pss
        first = len(self.kernel.seen)
        names = [f"flood{next(self._names)}" for _ in range(flood.views)]
        start = time.monotonic()
        pages = [self.kernel.follow(flood.command, name=name) for name in names]
        flooding = time.monotonic()
        for turn in itertools.count(1):
            measured.cells.append(self.cell())
            measured.memory = max(measured.memory, self.process.memory_full_info().pss - before)
            if flood.size is None and turn == self._cells:
                break
            if flood.size is not None and any(
                message["content"]["data"]["content"]["bytes"] == flood.size
                for message in batches(self.kernel.seen[first:], pages[0])
            ):
                break
        seconds = time.monotonic() - flooding
        for page in pages:
            received = batches(self.kernel.seen[first:], page)
            arrived = [m["arrived"] for m in received if m["arrived"] >= flooding]
            measured.rates.append(len(arrived) / max(seconds, 1.0))
            measured.largest = max(measured.largest, *(len(str(message["content"])) for message in received))
        if flood.size is not None:
            whole = next(
                m
                for m in batches(self.kernel.seen[first:], pages[0])
                if m["content"]["data"]["content"]["bytes"] == flood.size
            )
            measured.shown = whole["arrived"] - start
            if not measured.download:
                measured.download = compare(pages[0], flood)
            pages[0].final()
            return
        stop_time = time.monotonic()
        for page in pages:
            page.send({"type": "stop"})
        for page in pages:
            final = page.final(60)["text/plain"]
            assert "stopped" in final, final[:200]
        measured.stopped = time.monotonic() - stop_time

    def cell(self) -> float:
        """Run an empty cell and return its seconds."""
        start = time.perf_counter()
        self.kernel.execute("")
        return time.perf_counter() - start

    def delays(self) -> list[float]:
        """Return the seconds from the printing of each line to the page's message with it."""
        page = self.kernel.follow(LINE_CLOCK, name="clock")
        page.wait("lines", lambda batch: batch["state"] != "running", timeout=60)
        offset = time.time() - time.monotonic()
        return [
            message["arrived"] + offset - float(line)
            for message in batches(self.kernel.seen, page)
            if message["content"]["data"]["content"].get("to") is None
            for line in message["content"]["data"]["content"]["lines"]
        ]


def batches(messages: list[dict[str, Any]], page: Page) -> list[dict[str, Any]]:
    """Return the messages that carry lines to a page."""
    is_batch = page.is_custom("lines")
    return [message for message in messages if is_batch(message)]


def compare(page: Page, flood: Flood) -> str:
    """Download a log and return its rate, and whether it equals the command's output."""
    start = time.monotonic()
    digest, size = hashlib.sha256(), 0
    for piece in page.download():
        digest.update(piece)
        size += len(piece)
    seconds = time.monotonic() - start
    expected = hashlib.sha256()
    for part in flood.content:
        expected.update(part)
    whole = digest.digest() == expected.digest()
    return f"{size / seconds / 1e6:.0f} MB/s, {'whole' if whole else f'NOT WHOLE: {size} bytes'}"


def main() -> None:
    """Measure all floods and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=40, help="empty cells next to each flood")
    bench = Bench(parser.parse_args().cells)
    try:
        delays = sorted(bench.delays())
        print(
            f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n\n"
            f"A line reaches the page {statistics.median(delays) * 1000:.1f} ms after it is printed "
            f"(median of {len(delays)}; at worst {delays[-1] * 1000:.0f} ms).\n"
        )
        print(
            "| | all shown after | messages a second and view | largest | empty cell | × idle | memory "
            "| stopped after | download |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
        )
        for flood in FLOODS:
            measured = bench.measure(flood)
            cell, idle = statistics.median(measured.cells), statistics.median(measured.idle)
            shown = "" if measured.shown is None else f"{measured.shown:.2f} s"
            stopped = "" if measured.stopped is None else f"{measured.stopped:.2f} s"
            print(
                f"| {flood.what} | {shown} | {max(measured.rates):.1f} | {measured.largest / 1000:.0f} kB "
                f"| {cell * 1000:.1f} ms | {cell / idle:.2f} | {measured.memory / 1e6:.0f} MB "
                f"| {stopped} | {measured.download} |",
                flush=True,
            )
    finally:
        bench.kernel.close()


if __name__ == "__main__":
    main()
