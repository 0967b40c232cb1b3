"""How fast the embedded server is, with the official SDK as its client: prints a Markdown table.

    python benchmarks/toolbox.py [--isolation auto|bubblewrap|none] [--repeat N]

Times are medians in milliseconds. The column "Daytona's toolbox" was measured on loopback with
Daytona's own daemon (v0.190) on another noisy two-core machine: read it as an order of magnitude.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

from daytona import AsyncDaytona, Daytona, DaytonaConfig, SessionExecuteRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daytona import AsyncSandbox, Sandbox

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
LINE_CLOCK = (
    "import sys, time\n"
    "for _ in range(50):\n"
    "    sys.stdout.write(f'{time.time():.6f}\\n'); sys.stdout.flush(); time.sleep(0.02)\n"
)


@contextlib.contextmanager
def serving(isolation: str) -> Iterator[dict[str, str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "daytona_kernel.server", "--embedded"],
        stdout=subprocess.PIPE,
        env=os.environ | {"DAYTONA_KERNEL_ISOLATION": isolation},
    )
    assert process.stdout is not None
    said: dict[str, str] = json.loads(process.stdout.readline())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Authorization": f"Bearer {said['api_key']}"}
    lease = opener.open(urllib.request.Request(f"{said['api_url']}/lease", headers=headers))
    try:
        yield said
    finally:
        opener.open(urllib.request.Request(f"{said['api_url']}/lease", headers=headers, method="DELETE"))
        lease.close()
        process.wait()


def median_ms(run: Callable[[], object], repeat: int) -> float:
    run()
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def measure_calls(daytona: Daytona, sandbox: Sandbox, repeat: int) -> dict[str, str]:
    process = sandbox.process
    process.create_session("calls")
    sync = SessionExecuteRequest(command="true")
    asynchronous = SessionExecuteRequest(command="true", run_async=True)
    times = {
        "exec `true`": median_ms(lambda: process.exec("true"), repeat),
        "code_run `pass`": median_ms(lambda: process.code_run("pass"), repeat),
        "sync session `true`": median_ms(lambda: process.execute_session_command("calls", sync), repeat),
        "async submit": median_ms(lambda: process.execute_session_command("calls", asynchronous), repeat),
    }
    made: list[Sandbox] = []
    times["create to started"] = median_ms(lambda: made.append(daytona.create()), 5)
    for one in made:
        one.delete()
    return {name: f"{value:.1f} ms" for name, value in times.items()}


async def measure_following(sandbox: AsyncSandbox) -> dict[str, str]:
    process = sandbox.process
    await process.create_session("follow")
    await sandbox.fs.upload_file(LINE_CLOCK.encode(), "/tmp/clock.py")

    async def submit(command: str) -> str:
        request = SessionExecuteRequest(command=command, run_async=True)
        cmd_id: str = (await process.execute_session_command("follow", request)).cmd_id
        return cmd_id

    delays: list[float] = []
    command = await submit("python3 /tmp/clock.py; date +%s.%N")

    def on_line(text: str) -> None:
        now = time.time()
        delays.extend(now - float(line) for line in text.split())

    await process.get_session_command_logs_async("follow", command, on_line, print)
    closed = []
    for _ in range(10):
        lines: list[str] = []
        # The last thing that the command does is to read its clock.
        command = await submit("sleep 0.05; date +%s.%N")
        await process.get_session_command_logs_async("follow", command, lines.append, print)
        closed.append(time.time() - float("".join(lines)))
    result = {
        "printed line to follower": f"{statistics.median(delays) * 1000:.1f} ms",
        "follower close after exit": f"{statistics.median(closed) * 1000:.1f} ms",
    }
    for name, program, size in (
        ("log, 100,000 short lines", "seq 100000", 588_895),
        ("log, 200 lines of 100 kB", "for i in range(200): print('x' * 99_999)", 20_000_000),
        ("log, 3 lines of 2 MB", "for i in range(3): print('x' * 1_999_999)", 6_000_000),
        ("50 MB through a follower", "for i in range(500): print('x' * 99_999)", 50_000_000),
    ):
        received = 0

        def count(text: str) -> None:
            nonlocal received
            received += len(text)

        began = time.perf_counter()
        command = await submit(program if program.startswith("seq") else f'python3 -c "{program}"')
        await process.get_session_command_logs_async("follow", command, count, count)
        seconds = time.perf_counter() - began
        assert received == size, (name, received)
        result[name] = f"{size / seconds / 1e6:.0f} MB/s"
    return result


async def follow_with_sdk(said: dict[str, str], sandbox_id: str) -> dict[str, str]:
    config = DaytonaConfig(api_key=said["api_key"], api_url=said["api_url"], target="local")
    async with AsyncDaytona(config) as daytona:
        return await measure_following(await daytona.get(sandbox_id))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--isolation", default="auto", choices=["auto", "bubblewrap", "none"])
    parser.add_argument("--repeat", type=int, default=50)
    args = parser.parse_args()
    began = time.perf_counter()
    with serving(args.isolation) as said:
        started = (time.perf_counter() - began) * 1000
        config = DaytonaConfig(api_key=said["api_key"], api_url=said["api_url"], target="local")
        daytona = Daytona(config)
        sandbox = daytona.create()
        measured = {"server start to a lease": f"{started:.0f} ms"}
        measured |= measure_calls(daytona, sandbox, args.repeat)
        measured |= asyncio.run(follow_with_sdk(said, sandbox.id))
        sandbox.delete()
        print(
            f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f}, isolation {said['isolation']}\n"
        )
    print("| what | embedded server | Daytona's toolbox |\n|---|---|---|")
    for name, value in measured.items():
        print(f"| {name} | {value} | {DAYTONA.get(name, '')} |")


if __name__ == "__main__":
    main()
