"""Code in a sandbox that attacks its supervisor and its file worker, and through them the server."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from daytona_kernel.server.failures import ApiError
from daytona_kernel.server.inside.file_worker import LENGTH
from daytona_kernel.server.toolbox.files import Files
from daytona_kernel.server.watchdog import EXIT_STATUS
from tests.server.conftest import DEADLINE, eventually, make_toolbox, processes_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.server.conftest import EmbeddedServer, Toolbox

# Each way in which a process could take over another one, tried on the supervisor and on its workers.
_TAKE_OVER = r"""
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
ATTACH, SEIZE, PIDFD_OPEN, PIDFD_GETFD, READV = 16, 0x4206, 434, 438, 310

def names(pid):
    yield "ptrace", lambda: libc.ptrace(ATTACH, pid, 0, 0) == 0
    yield "seize", lambda: libc.ptrace(SEIZE, pid, 0, 0) == 0
    opened = libc.syscall(PIDFD_OPEN, pid, 0)
    yield "getfd", lambda: any(libc.syscall(PIDFD_GETFD, opened, fd, 0) >= 0 for fd in range(64))
    yield "fds", lambda: any(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    yield "environ", lambda: bool(open(f"/proc/{pid}/environ", "rb").read())
    for mode in ("rb", "r+b"):
        yield "mem " + mode, lambda: bool(open(f"/proc/{pid}/mem", mode, buffering=0))
    yield "root", lambda: bool(os.listdir(f"/proc/{pid}/root"))

for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    try:
        mine = bool(open(f"/proc/{pid}/environ", "rb").read())
        command = open(f"/proc/{pid}/cmdline", "rb").read()
    except OSError:
        mine, command = False, b"supervisor"
    if b"supervisor" not in command:
        continue
    for name, attempt in names(pid):
        try:
            if attempt():
                print("TAKEN", name, pid, command)
        except OSError:
            pass
    print("tried", pid)
"""


def start_worker(toolbox: Toolbox) -> None:
    assert toolbox.get("/files", params={"path": "/workspace"}).status_code == 200


def test_nothing_in_a_sandbox_can_trace_or_open_its_supervisor_and_its_workers(toolbox: Toolbox) -> None:
    start_worker(toolbox)
    tried = toolbox.post("/process/code-run", json={"code": _TAKE_OVER, "language": "python"}).json()[
        "result"
    ]
    assert tried.count("tried") == 2, tried
    assert "TAKEN" not in tried
    assert "Traceback" not in tried


@pytest.mark.parametrize("signal", ["TERM", "KILL", "STOP", "HUP", "INT", "SEGV", "USR1", "RTMIN"])
def test_no_signal_from_inside_ends_or_stops_the_sandbox(toolbox: Toolbox, signal: str) -> None:
    toolbox.execute(f"kill -{signal} 1; sleep 0.1")
    assert toolbox.execute("echo alive")["result"] == "alive\n"


def test_the_files_work_again_after_all_of_a_sandboxes_processes_were_killed(server: EmbeddedServer) -> None:
    with make_toolbox(server) as toolbox:
        start_worker(toolbox)
        toolbox.execute("kill -9 -1")
        eventually(
            lambda: toolbox.get("/files", params={"path": "/workspace"}).status_code == 200, "files work"
        )
        assert toolbox.execute("echo alive")["result"] == "alive\n"


def test_a_stopped_worker_delays_only_its_own_sandbox(server: EmbeddedServer) -> None:
    with make_toolbox(server) as hostile, make_toolbox(server) as other:
        start_worker(hostile)
        hostile.execute("for pid in $(pgrep -f supervisor); do [ $pid = 1 ] || kill -STOP $pid; done")
        hostile.timeout = 0.5
        with pytest.raises(Exception, match="timed out"):
            hostile.get("/files", params={"path": "/workspace"})
        begin = time.monotonic()
        assert other.get("/files", params={"path": "/workspace"}).status_code == 200
        assert other.execute("echo alive")["result"] == "alive\n"
        assert time.monotonic() - begin < 5
        hostile.timeout = 60


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def answer(content: object) -> bytes:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return LENGTH.pack(len(body)) + body


# Answers that a worker could give after an attack has taken it over.
LIES = {
    "a huge length": LENGTH.pack(0xFFFFFFFF),
    "no JSON": answer(b"no"),
    "deep JSON": answer(b"[" * 100_000),
    "a list": answer([1]),
    "a number": answer(1),
    "no result": answer({}),
    "a wrong errno": answer({"errno": "x", "reason": "r", "path": "p"}),
    "a wrong reason": answer({"errno": 2, "reason": 3, "path": "p"}),
    "half an error": answer({"errno": 2}),
    "a surrogate": answer(b'{"errno": 2, "reason": "\\ud800", "path": ""}'),
    "a size that is text": answer({"result": "1"}),
    "a negative size": answer({"result": -1}),
    "a huge size": answer({"result": 1 << 70}),
    "an infinite size": answer(b'{"result": 1e999}'),
}


def with_worker(says: bytes, use: Callable[[Files], object], fds: int = 0) -> Exception:
    """Use files whose worker gives one answer, with some descriptors. Return the error."""

    async def run() -> Exception:
        channels = []

        async def start(_program: str, channel: int) -> None:
            taken_over = socket.socket(fileno=os.dup(channel))
            taken_over.setblocking(False)
            channels.append(taken_over)
            read_end, write_end = os.pipe()
            socket.send_fds(taken_over, [says], [read_end] * fds)
            os.close(read_end)
            os.close(write_end)

        files = Files(start)
        try:
            async with asyncio.timeout(5):
                with pytest.raises((ApiError, TimeoutError)) as caught:
                    await use(files)  # type: ignore[misc]
            return caught.value
        finally:
            files.close()
            for channel in channels:
                channel.close()

    return asyncio.run(run())


@pytest.mark.parametrize("lie", LIES)
def test_a_worker_that_lies_fails_only_its_request(lie: str) -> None:
    before = open_descriptors()
    error = with_worker(LIES[lie], lambda files: files.read("/file"))
    assert isinstance(error, ApiError)
    assert open_descriptors() == before


def test_descriptors_from_a_worker_are_dropped() -> None:
    before = open_descriptors()
    for fds in (1, 3, 100):
        with_worker(answer({"errno": 2, "reason": "r", "path": ""}), lambda files: files.run("info"), fds)
    assert open_descriptors() == before


@pytest.mark.parametrize("kind", ["mkfifo", "ln -s /dev/zero", "ln -s /dev/full", "mkdir"])
def test_special_files_are_neither_read_nor_written(toolbox: Toolbox, kind: str) -> None:
    toolbox.execute(f"rm -rf special; {kind} special")
    assert toolbox.get("/files/download", params={"path": "special"}).status_code == 400
    sent = toolbox.post("/files/upload", params={"path": "special"}, files={"file": ("f", b"x" * 300_000)})
    assert sent.status_code == 400


def test_a_write_that_fails_is_an_error(toolbox: Toolbox, session: str) -> None:
    command = toolbox.run(session, "echo $BASHPID")
    file = f"/proc/{command['stdout'].strip()}/oom_score_adj"  # it takes numbers only
    sent = toolbox.post("/files/upload", params={"path": file}, files={"file": ("f", b"x" * 3_000_000)})
    assert sent.status_code == 400
    assert "invalid argument" in sent.json()["message"]


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 5_000_000])
def test_contents_of_files_arrive_complete_in_both_directions(toolbox: Toolbox, size: int) -> None:
    content = os.urandom(size)
    sent = toolbox.post("/files/upload", params={"path": "content"}, files={"file": ("f", content)})
    assert sent.status_code == 200
    assert toolbox.get("/files/download", params={"path": "content"}).content == content


# The embedded server, with a loop that blocks some seconds after its start.
_STUCK = """
import asyncio, os
from daytona_kernel.server import embedded
from daytona_kernel.server.box.orphans import become_subreaper
from daytona_kernel.server.limits import Timings
from daytona_kernel.server.toolbox.profile import OWN

def and_block():
    become_subreaper()
    asyncio.get_running_loop().call_later(4, os.read, os.pipe()[0], 1)

embedded.become_subreaper = and_block
raise SystemExit(embedded.run_embedded(None, Timings(stuck=2), OWN))
"""


@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_a_server_whose_loop_is_stuck_ends_with_all_its_sandboxes(isolation: str) -> None:
    mark = str(uuid.uuid4())
    environment = os.environ | {"DAYTONA_KERNEL_ISOLATION": isolation}
    with subprocess.Popen([sys.executable, "-c", _STUCK], stdout=subprocess.PIPE, env=environment) as server:
        assert server.stdout is not None
        about = json.loads(server.stdout.readline())
        headers = {"Authorization": f"Bearer {about['api_key']}"}
        with httpx.Client(base_url=about["api_url"], headers=headers, timeout=20, trust_env=False) as client:
            sandbox = client.post("/sandbox", json={"env": {"MARK": mark}}).json()
            url = f"{sandbox['toolboxProxyUrl']}/{sandbox['id']}/process/session"
            client.post(url, json={"sessionId": "s"})
            client.post(f"{url}/s/exec", json={"command": "exec setsid sleep 1000", "runAsync": True})
            eventually(lambda: processes_with(mark), "a process runs")
            assert server.wait(DEADLINE) == EXIT_STATUS
        eventually(lambda: not processes_with(mark), "its processes have ended")
