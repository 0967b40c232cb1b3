"""The client and the embedded server next to Daytona's SDK.

    python -m benchmarks.toolbox [--isolation auto|bubblewrap|none] [--repeat N]

Both clients, each sync and async, take turns with one server. The Markdown table has medians. The
column "Daytona's toolbox" was measured with Daytona's daemon (v0.190) on loopback, on another noisy
machine with two cores; it shows the order of magnitude only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import inspect
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import daytona as official

import daytona_kernel as ours

if TYPE_CHECKING:
    from collections.abc import Iterator

DAYTONA = {
    "exec `true`": "4.3 ms",
    "code_run `pass`": "113 ms",
    "sync session `true`": "51 ms",
    "async submit": "0.5 ms",
    "printed line to follower": "11 ms",
    "follower close after exit": "1,010 ms",
    "log, 100,000 short lines": "0.4–2.3 MB/s",
    "log, 200 lines of 100 kB": "0.4–2.3 MB/s",
    "log, 3 lines of 2 MB": "0.4–2.3 MB/s",
    "50 MB through a follower": "0.4–2.3 MB/s",
}
WARM_SECONDS = 4.0  # after this pause the server has another warm box
LINE_CLOCK = (
    "import sys, time\n"
    "for _ in range(50):\n"
    "    sys.stdout.write(f'{time.time():.6f}\\n'); sys.stdout.flush(); time.sleep(0.02)\n"
)


@contextlib.contextmanager
def serving(isolation: str) -> Iterator[dict[str, str]]:
    """Run an embedded server and yield its greeting: `api_url`, `api_key` and `isolation`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "daytona_kernel.server", "--embedded"],
        stdout=subprocess.PIPE,
        env=os.environ | {"DAYTONA_KERNEL_ISOLATION": isolation},
    )
    assert process.stdout is not None
    greeting: dict[str, str] = json.loads(process.stdout.readline())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Authorization": f"Bearer {greeting['api_key']}"}
    lease_url = f"{greeting['api_url']}/lease"
    lease = opener.open(urllib.request.Request(lease_url, headers=headers))  # noqa: S310 -- http, on loopback
    try:
        yield greeting
    finally:
        opener.open(urllib.request.Request(lease_url, headers=headers, method="DELETE"))  # noqa: S310
        lease.close()
        process.wait()


Columns = dict[str, str]
Action = Callable[[], object]

OFFICIAL, OFFICIAL_ASYNC, OURS, OURS_ASYNC = "official SDK", "official SDK, async", "client", "client, async"


async def medians(actions: dict[str, Action], repeat: int, rest: float = 0.0) -> dict[str, float]:
    """Return the median seconds of each action. Taking turns makes a disturbance affect all actions.

    rest: seconds to wait before each action.
    """
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(repeat + 1):
        for name, action in actions.items():
            await asyncio.sleep(rest)
            start = time.perf_counter()
            result = action()
            if inspect.isawaitable(result):
                await result
            if turn:  # the first turn warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


async def measure_operations(clients: dict[str, Any], repeat: int) -> dict[str, Columns]:
    """Measure short operations, with one sandbox for each client, and the creation of sandboxes."""
    sandboxes = {}
    for name, daytona in clients.items():
        sandboxes[name] = await finished(daytona.create())
        await finished(sandboxes[name].process.create_session("benchmark"))
    requests = {
        name: official.SessionExecuteRequest if name.startswith("official") else ours.SessionExecuteRequest
        for name in clients
    }

    def on_each(bind: Callable[[str, Any], Action]) -> dict[str, Action]:
        return {name: bind(name, sandbox.process) for name, sandbox in sandboxes.items()}

    actions: dict[str, dict[str, Action]] = {
        "exec `true`": on_each(lambda _, process: lambda: process.exec("true")),
        "code_run `pass`": on_each(lambda _, process: lambda: process.code_run("pass")),
        "sync session `true`": on_each(
            lambda name, process: (
                lambda: process.execute_session_command("benchmark", requests[name](command="true"))
            )
        ),
        "async submit": on_each(
            lambda name, process: (
                lambda: process.execute_session_command(
                    "benchmark", requests[name](command="true", run_async=True)
                )
            )
        ),
    }
    measured = {}
    for what, of_each in actions.items():
        taken = await medians(of_each, repeat)
        measured[what] = {name: f"{seconds * 1000:.1f} ms" for name, seconds in taken.items()}
    created: list[Any] = []

    def create(daytona: Any) -> Action:
        async def run() -> None:
            created.append(await finished(daytona.create()))

        return run

    creations = {name: create(daytona) for name, daytona in clients.items()}
    for what, repeat_creation, rest in (
        ("create to started", 3, WARM_SECONDS),
        ("create to started, at once after another", 5, 0.0),
    ):
        taken = await medians(creations, repeat_creation, rest)
        measured[what] = {name: f"{seconds * 1000:.1f} ms" for name, seconds in taken.items()}
    for sandbox in [*created, *sandboxes.values()]:
        await finished(sandbox.delete())
    return measured


async def finished(result: Any) -> Any:
    """Return a result, after waiting for it if it is awaitable."""
    return await result if inspect.isawaitable(result) else result


LOGS = (
    ("log, 100,000 short lines", "seq 100000", 588_895),
    ("log, 200 lines of 100 kB", "python3 -c \"for i in range(200): print('x' * 99_999)\"", 20_000_000),
    ("log, 3 lines of 2 MB", "python3 -c \"for i in range(3): print('x' * 1_999_999)\"", 6_000_000),
    ("50 MB through a follower", "python3 -c \"for i in range(500): print('x' * 99_999)\"", 50_000_000),
)


async def measure_following(clients: dict[str, Any], rounds: int) -> dict[str, Columns]:
    """Measure the logs of both async clients in turns, each turn in a new sandbox: their speed varies."""
    followers = [Follower(name, clients[name]) for name in (OFFICIAL_ASYNC, OURS_ASYNC)]
    for number in range(rounds):
        for follower in followers if number % 2 else followers[::-1]:
            await follower.measure()
    measured: dict[str, Columns] = {}
    for follower in followers:
        for what, value in follower.medians().items():
            measured.setdefault(what, {})[follower.name] = value
    return measured


class Follower:
    """The measurements of the logs that one client follows: delays in seconds, rates in MB/s."""

    def __init__(self, name: str, client: Any) -> None:
        self.name = name
        self._client = client
        self._delays: list[float] = []
        self._closes: list[float] = []
        self._rates: dict[str, list[float]] = {what: [] for what, _, _ in LOGS}

    async def measure(self) -> None:
        """Measure each kind of log in a new sandbox."""
        self.sandbox = await self._client.create()
        await self.sandbox.process.create_session("follow")
        await self.sandbox.fs.upload_file(LINE_CLOCK.encode(), "clock.py")
        await self._follow("python3 clock.py", self._take_line)
        for _ in range(4):
            lines: list[str | bytes] = []
            # The command prints the time and ends.
            await self._follow("sleep 0.05; date +%s.%N", lines.append)
            self._closes.append(time.time() - float(lines[-1]))
        for what, command, size in LOGS:
            start = time.perf_counter()
            sizes: list[int] = []
            await self._follow(command, lambda text, sizes=sizes: sizes.append(len(text)))  # type: ignore[misc]
            self._rates[what].append(size / (time.perf_counter() - start) / 1e6)
            assert sum(sizes) == size, (what, sum(sizes))
        await self.sandbox.delete()

    def medians(self) -> dict[str, str]:
        """Return the medians for the table."""
        return {
            "printed line to follower": f"{statistics.median(self._delays) * 1000:.2f} ms",
            "follower close after exit": f"{statistics.median(self._closes) * 1000:.1f} ms",
            **{what: f"{significant(statistics.median(rates))} MB/s" for what, rates in self._rates.items()},
        }

    def _take_line(self, text: str | bytes) -> None:
        now = time.time()
        self._delays.extend(now - float(line) for line in text.split())

    async def _follow(self, command: str, take: Callable[[str | bytes], None]) -> None:
        """Run a command and follow its log to the end."""
        module = official if self.name == OFFICIAL_ASYNC else ours
        request = module.SessionExecuteRequest(command=command, run_async=True)
        process = self.sandbox.process
        cmd_id = (await process.execute_session_command("follow", request)).cmd_id
        if module is official:
            await process.get_session_command_logs_async("follow", cmd_id, take, take)
            return
        async for chunk in process.follow_session_command_logs("follow", cmd_id):
            take(chunk.data)


def significant(value: float) -> str:
    """Return a number with at least two significant digits."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004 -- two digits


async def measure(greeting: dict[str, str], repeat: int) -> dict[str, Columns]:
    """Measure everything with one server."""
    key, url = greeting["api_key"], greeting["api_url"]
    their_config = official.DaytonaConfig(api_key=key, api_url=url, target="local")
    our_config = ours.DaytonaConfig(api_key=key, api_url=url, target="local")
    async with (
        official.AsyncDaytona(their_config) as official_async,
        ours.AsyncDaytona(our_config) as ours_async,
    ):
        clients = {
            OFFICIAL: official.Daytona(their_config),
            OURS: ours.Daytona(our_config),
            OFFICIAL_ASYNC: official_async,
            OURS_ASYNC: ours_async,
        }
        return await measure_operations(clients, repeat) | await measure_following(
            clients, max(4, repeat // 4)
        )


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--isolation", default="auto", choices=["auto", "bubblewrap", "none"])
    parser.add_argument("--repeat", type=int, default=50)
    args = parser.parse_args()
    start = time.perf_counter()
    with serving(args.isolation) as greeting:
        started = (time.perf_counter() - start) * 1000
        measured = {"server start to a lease": {OURS: f"{started:.0f} ms"}}
        measured |= asyncio.run(measure(greeting, args.repeat))
        print(
            f"{time.strftime('%Y-%m-%d')}, {platform.system()} {platform.release()} on {platform.machine()}, "
            f"{os.cpu_count()} cores, Python {platform.python_version()}, daytona {version('daytona')}, load "
            f"{os.getloadavg()[0]:.1f}, isolation {greeting['isolation']}\n"
        )
    columns = (OFFICIAL, OURS, OFFICIAL_ASYNC, OURS_ASYNC)
    print(f"| what | {' | '.join(columns)} | Daytona's toolbox |\n|---|{'---|' * (len(columns) + 1)}")
    for what, values in measured.items():
        cells = " | ".join(values.get(column, "") for column in columns)
        print(f"| {what} | {cells} | {DAYTONA.get(what, '')} |")


if __name__ == "__main__":
    main()
