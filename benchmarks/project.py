"""A project on its way to a sandbox: `python -m benchmarks.project --round-trip 50`.

Two projects, 1,000 files of 20 kB and one file of 200 MB, go to new sandboxes of a server: here, and behind a
wire that delays each byte by half a round trip in both directions. Beside it, the same files go as one tar
archive: one upload, and one command that unpacks it. "Unchanged" is the time that a cell waits if nothing has
changed, and "one changed" if one small file has.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.network import Wire
from daytona_kernel import AsyncDaytona, DaytonaConfig
from daytona_kernel.client.models.files import FileUpload
from daytona_kernel.magics.project.mirror import Mirror

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from daytona_kernel.client.sandbox import AsyncSandbox

COMMAND = str(Path(sys.executable).with_name("daytona-kernel"))
KEY = "benchmark"
UNCHANGED = 20  # times


def make_projects(folder: Path) -> dict[str, Path]:
    """Make both projects, and return their folders."""
    many, large = folder / "many", folder / "large"
    for number in range(1000):
        path = many / f"{number % 20}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(20_000))
    large.mkdir()
    (large / "large.bin").write_bytes(os.urandom(200_000_000))
    return {"1,000 files of 20 kB": many, "one file of 200 MB": large}


async def timed(awaitable: Awaitable[object]) -> float:
    """Return the seconds that something takes."""
    start = time.perf_counter()
    await awaitable
    return time.perf_counter() - start


async def send_archive(sandbox: AsyncSandbox, folder: Path) -> None:
    """Send a folder as one tar archive, and unpack it."""

    def pack() -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(mode="w", fileobj=buffer) as archive:
            archive.add(folder, "project")
        return buffer.getvalue()

    await sandbox.fs.upload_files([FileUpload(await asyncio.to_thread(pack), "/workspace/archive")])
    script = "cd /workspace && mkdir unpacked && tar -xf archive -C unpacked && rm archive"
    answer = await sandbox.process.exec(script)
    assert answer.exit_code == 0, answer.result


async def measure(url: str, folder: Path, repeat: int) -> list[float]:
    """Return the median seconds of an archive, the first push, an unchanged one, and one changed file."""
    rounds = []
    async with AsyncDaytona(DaytonaConfig(api_key=KEY, api_url=url)) as daytona:
        for number in range(repeat):
            taken: dict[str, float] = {}
            for what in ("archive", "push") if number % 2 else ("push", "archive"):
                sandbox = await daytona.create()
                if what == "archive":
                    taken[what] = await timed(send_archive(sandbox, folder))
                else:
                    mirror = Mirror(str(folder))
                    await mirror.path_in(sandbox)  # the kernel knows it before the first cell
                    taken[what] = await timed(mirror.push(sandbox))
                    again = [await timed(mirror.push(sandbox)) for _ in range(UNCHANGED)]
                    taken["unchanged"] = statistics.median(again)
                    small = folder / "small.py"
                    small.write_text(str(number))
                    taken["changed"] = await timed(mirror.push(sandbox))
                    small.unlink()
                await sandbox.delete()
            rounds.append([taken[each] for each in ("archive", "push", "unchanged", "changed")])
    return [statistics.median(each) for each in zip(*rounds, strict=True)]


def main() -> None:
    """Measure both projects, here and over the wire, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--round-trip", type=float, default=50, metavar="MS", help="of the network (50)")
    parser.add_argument("--repeat", type=int, default=5, help="rounds of each measurement (5)")
    arguments = parser.parse_args()
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def lay_wire() -> bytes:
        return await Wire(arguments.round_trip / 2000).end_for(b"1999")

    with tempfile.TemporaryDirectory() as place:
        projects = make_projects(Path(place))
        server = subprocess.Popen(
            [COMMAND, "serve", "--root", f"{place}/served", "--port", "1999", "--key", KEY],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            server.stdout.readline()
            end = asyncio.run_coroutine_threadsafe(lay_wire(), loop).result().decode()
            load = os.getloadavg()[0]
            about = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f}"
            print(f"{time.strftime('%Y-%m-%d')}, {about}\n")
            print("| project | one tar archive | first time | ratio | unchanged | one changed |")
            print("|---|---:|---:|---:|---:|---:|")
            for name, folder in projects.items():
                for where, port in (("here", "1999"), (f"over {arguments.round_trip:g} ms", end)):
                    url = f"http://127.0.0.1:{port}/api"
                    archive, push, again, one = asyncio.run(measure(url, folder, arguments.repeat))
                    print(
                        f"| {name}, {where} | {archive * 1000:.0f} ms | {push * 1000:.0f} ms | "
                        f"{push / archive:.2f} | {again * 1000:.1f} ms | {one * 1000:.0f} ms |",
                        flush=True,
                    )
        finally:
            server.terminate()
            server.wait(60)


if __name__ == "__main__":
    main()
