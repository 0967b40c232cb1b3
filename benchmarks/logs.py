"""Live logs under load, from the process in the sandbox to the page: prints a Markdown table.

    python -m benchmarks.logs [--cells N]

A kernel of this package follows commands that print as fast as they can, and a page as a browser has
it takes what comes and runs empty cells meanwhile. "× idle" compares their median with the median just
before; memory is what the kernel's process has more (PSS) at its highest, the page's window of every
log included; a download is the whole log, compared with what was printed.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import itertools
import os
import platform
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from tests.views.pages import Page, SandboxKernel

if TYPE_CHECKING:
    from collections.abc import Iterable

LINE_CLOCK = "for i in $(seq 60); do date +%s.%N; sleep 0.03; done"
ENOUGH_SECONDS = 30.0


@dataclass
class Flood:
    """A command that prints much. `size`: the bytes that it prints; None: it prints until it is stopped."""

    what: str
    command: str
    size: int | None = None
    content: Iterable[bytes] = ()
    views: int = 1


@dataclass
class Measured:
    """What one flood came to."""

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
    """One kernel, and what is measured with it."""

    def __init__(self, cells: int) -> None:
        self.kernel = SandboxKernel()
        self.process = psutil.Process(self.kernel.manager.provisioner.pid)
        self._cells = cells
        self._names = itertools.count()

    def measure(self, flood: Flood) -> Measured:
        """Run a flood as often as it takes to run enough cells beside it."""
        measured = Measured()
        deadline = time.monotonic() + ENOUGH_SECONDS
        while len(measured.cells) < self._cells and time.monotonic() < deadline:
            self._measure_once(flood, measured)
        return measured

    def _measure_once(self, flood: Flood, measured: Measured) -> None:
        for _ in range(self._cells):
            measured.idle.append(self.cell())
        before = self.process.memory_full_info().pss
        heard = len(self.kernel.seen)
        names = [f"flood{next(self._names)}" for _ in range(flood.views)]
        begun = time.monotonic()
        pages = [self.kernel.follow(flood.command, name=name) for name in names]
        flooding = time.monotonic()
        for turn in itertools.count(1):
            measured.cells.append(self.cell())
            measured.memory = max(measured.memory, self.process.memory_full_info().pss - before)
            if flood.size is None and turn == self._cells:
                break
            if flood.size is not None and any(
                message["content"]["data"]["content"]["bytes"] == flood.size
                for message in batches(self.kernel.seen[heard:], pages[0])
            ):
                break
        seconds = time.monotonic() - flooding
        for page in pages:
            own = batches(self.kernel.seen[heard:], page)
            arrived = [m["arrived"] for m in own if m["arrived"] >= flooding]
            measured.rates.append(len(arrived) / max(seconds, 1.0))
            measured.largest = max(measured.largest, *(len(str(message["content"])) for message in own))
        if flood.size is not None:
            whole = next(
                m
                for m in batches(self.kernel.seen[heard:], pages[0])
                if m["content"]["data"]["content"]["bytes"] == flood.size
            )
            measured.shown = whole["arrived"] - begun
            if not measured.download:
                measured.download = compare(pages[0], flood)
            pages[0].final()
            return
        asked = time.monotonic()
        for page in pages:
            page.send({"type": "stop"})
        for page in pages:
            final = page.final(60)["text/plain"]
            assert "stopped" in final, final[:200]
        measured.stopped = time.monotonic() - asked

    def cell(self) -> float:
        """The seconds that an empty cell takes."""
        begun = time.perf_counter()
        self.kernel.execute("")
        return time.perf_counter() - begun

    def delays(self) -> list[float]:
        """The seconds from a line's printing to the page's message with it."""
        page = self.kernel.follow(LINE_CLOCK, name="clock")
        page.wait("lines", lambda batch: batch["state"] != "running", timeout=60)
        offset = time.time() - time.monotonic()
        return [
            message["arrived"] + offset - float(line)
            for message in batches(self.kernel.seen, page)
            if message["content"]["data"]["content"].get("to") is None
            for line in message["content"]["data"]["content"]["lines"]
        ]


def batches(messages: list[dict], page: Page) -> list[dict]:  # type: ignore[type-arg]
    """The messages with lines for a page."""
    is_batch = page.is_custom("lines")
    return [message for message in messages if is_batch(message)]


def compare(page: Page, flood: Flood) -> str:
    """Download a log; say how fast it came, or that it is not what was printed."""
    begun = time.monotonic()
    digest, size = hashlib.sha256(), 0
    for piece in page.download():
        digest.update(piece)
        size += len(piece)
    seconds = time.monotonic() - begun
    expected = hashlib.sha256()
    for part in flood.content:
        expected.update(part)
    whole = digest.digest() == expected.digest()
    return f"{size / seconds / 1e6:.0f} MB/s, {'whole' if whole else f'NOT WHOLE: {size} bytes'}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=40, help="empty cells beside each flood")
    bench = Bench(parser.parse_args().cells)
    try:
        delays = sorted(bench.delays())
        print(
            f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n\n"
            f"A line is in the page's message {statistics.median(delays) * 1000:.1f} ms after it was printed "
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
