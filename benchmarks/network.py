"""Cells over a network: `python -m benchmarks.network --round-trip 100`.

A wire between a kernel and its server delays each byte by half a round trip in both directions.
Measurements alternate between this kernel and one without the wire. A cell should take one round
trip longer, whatever it prints. The wire also rewrites the addresses in the server's answers, so
that the kernel reaches the agent through the wire too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.kernel import execute, start

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jupyter_client.blocking.client import BlockingKernelClient

_ADDRESS = re.compile(rb"127\.0\.0\.1:(\d{4})\b")
_PIECE = 1 << 16
COMMAND = str(Path(sys.executable).with_name("daytona-kernel"))


class Wire:
    """A delay between a client and ports of this machine. It belongs to one event loop.

    delay: seconds in each direction.
    """

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self._ends: dict[bytes, bytes] = {}
        self._servers: list[asyncio.Server] = []

    async def end_for(self, port: bytes) -> bytes:
        """Return the port of this wire that leads to `port`. Both have four digits."""
        if port not in self._ends:
            for candidate in range(2000, 3000):
                with contextlib.suppress(OSError):
                    carry = self._carrier(int(port))
                    self._servers.append(await asyncio.start_server(carry, "127.0.0.1", candidate))
                    self._ends[port] = str(candidate).encode()
                    break
        return self._ends[port]

    def _carrier(self, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(self._delay(reader, there[1], False), self._delay(there[0], writer, True))

        return carry

    async def _delay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: bool) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await reader.read(_PIECE):
                due = loop.time() + self.delay
                if back and b"HTTP/1.1 " in data[:9]:
                    for port in set(_ADDRESS.findall(data)):
                        data = data.replace(b"127.0.0.1:" + port, b"127.0.0.1:" + await self.end_for(port))
                loop.call_at(due, writer.write, data)
        loop.call_later(self.delay, writer.close)


CELLS = {
    "empty cell": "",
    "`1+1`": "1+1",
    "1,000 printed lines": "for i in range(1000): print(i)",
    "100 printed lines, each flushed": "for i in range(100): print(i, flush=True)",
    "1 MB of display data": "display({'text/plain': 'x' * 1_000_000}, raw=True)",
}


def medians(count: int, clients: list[BlockingKernelClient], code: str) -> list[float]:
    """Return the median seconds of a cell for each client, measured in turns."""
    for client in clients:
        execute(client, code)
    rounds = [[execute(client, code) for client in clients] for _ in range(count)]
    return [statistics.median(each) for each in zip(*rounds, strict=True)]


def main() -> None:
    """Measure all cells and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--round-trip", type=float, default=100, metavar="MS", help="of the network (100)")
    parser.add_argument("--repeat", type=int, default=20, help="rounds of each measurement (20)")
    arguments = parser.parse_args()
    round_trip = arguments.round_trip / 1000
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def lay_wire() -> bytes:
        return await Wire(round_trip / 2).end_for(b"1999")

    with tempfile.TemporaryDirectory() as root:
        server = subprocess.Popen(
            [COMMAND, "serve", "--root", root, "--port", "1999", "--key", "benchmark"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            server.stdout.readline()
            end = asyncio.run_coroutine_threadsafe(lay_wire(), loop).result()
            kernels = [start("daytona")]
            os.environ["DAYTONA_API_URL"] = f"http://127.0.0.1:{end.decode()}/api"
            os.environ["DAYTONA_API_KEY"] = "benchmark"
            kernels.append(start("daytona"))
            print(
                f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {os.cpu_count()} cores\n"
            )
            print(f"| cell | here | over {arguments.round_trip:g} ms | beyond the round trip |")
            print("|---|---:|---:|---:|")
            for label, code in CELLS.items():
                here, away = medians(arguments.repeat, [client for _, client in kernels], code)
                beyond = away - here - round_trip
                print(f"| {label} | {here * 1000:.1f} ms | {away * 1000:.1f} ms | {beyond * 1000:.1f} ms |")
            for manager, client in kernels:
                client.stop_channels()
                manager.shutdown_kernel()
        finally:
            server.terminate()
            server.wait(15)


if __name__ == "__main__":
    main()
