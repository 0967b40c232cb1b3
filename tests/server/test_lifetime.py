"""The server lives as long as a lease is open. Whatever process dies, nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.server.conftest import eventually, make_toolbox, processes_with, start_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer

# A process tree that tries hard to escape.
RUNAWAY = (
    "(setsid sleep 1000 &); setsid sleep 1000 & nohup sleep 1000 >/dev/null 2>&1 & "
    "(setsid bash -c 'trap \"\" TERM HUP; (setsid sleep 1000 &); sleep 1000' &); sleep 1000"
)
ISOLATIONS = ["auto", "none"]
GRACE = 2.0  # seconds without a lease until the server ends


@pytest.fixture(params=ISOLATIONS)
def own_server(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    server = start_embedded({"DAYTONA_KERNEL_ISOLATION": request.param}, lease_grace=0.5)
    server.lease = server.take_lease()
    yield server
    server.end()


def busy(server: EmbeddedServer) -> str:
    """Create a sandbox with runaway children. Return a mark that all of them carry."""
    with make_toolbox(server, keep=True) as toolbox:
        toolbox.post("/process/session", json={"sessionId": "s"})
        toolbox.run("s", RUNAWAY, runAsync=True)
        toolbox.execute("(setsid sleep 1000 >/dev/null 2>&1 &)")
        mark: str = toolbox.sandbox["id"]
        eventually(lambda: len(processes_with(mark)) >= 7, "the children run")
    return mark


def test_without_a_lease_the_server_ends_and_removes_everything(own_server: EmbeddedServer) -> None:
    mark = busy(own_server)
    assert own_server.lease is not None
    own_server.lease.close()
    assert own_server.process.wait(10) == 0
    assert processes_with(mark) == []
    assert not own_server.directory.exists()


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_delete_of_the_lease_does_not_wait_for_the_grace(isolation: str) -> None:
    server = start_embedded({"DAYTONA_KERNEL_ISOLATION": isolation}, lease_grace=1000)
    server.lease = server.take_lease()
    mark = busy(server)
    with server.client() as client:
        assert client.delete("/lease").status_code == 204
    assert server.process.wait(20) == 0
    assert processes_with(mark) == []
    assert not server.directory.exists()
    server.end()


def test_another_lease_within_the_grace_keeps_the_server() -> None:
    server = start_embedded(lease_grace=GRACE)
    server.take_lease().close()
    kept = server.take_lease()
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(GRACE + 1)
    server.end()
    kept.close()
    assert server.process.wait(10) == 0


def test_a_killed_starter_takes_everything_with_it() -> None:
    program = """
import json, subprocess, sys, urllib.request, time
command = [sys.executable, "-m", "daytona_kernel.server", "--embedded", '{"lease_grace": 0.5}']
server = subprocess.Popen(command, stdout=subprocess.PIPE)
about = json.loads(server.stdout.readline())
headers = {"Authorization": "Bearer " + about["api_key"]}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
lease = opener.open(urllib.request.Request(about["api_url"] + "/lease", headers=headers))
created = opener.open(urllib.request.Request(about["api_url"] + "/sandbox", data=b"{}", headers=headers))
print(json.dumps({"id": json.load(created)["id"], "pid": server.pid}), flush=True)
time.sleep(1000)
"""
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    about = json.loads(starter.stdout.readline())
    assert processes_with(about["id"]) or psutil.pid_exists(about["pid"])
    starter.kill()
    starter.communicate()
    eventually(lambda: not psutil.pid_exists(about["pid"]), "the server has ended", 10)
    assert processes_with(about["id"]) == []


@pytest.mark.parametrize("reads", [True, False])
def test_a_starter_that_dies_before_it_has_a_lease_leaves_nothing(tmp_path: Path, reads: bool) -> None:
    program = f"""
import subprocess, sys, time
command = [sys.executable, "-m", "daytona_kernel.server", "--embedded", '{{"first_lease_grace": 0.5}}']
server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
if {reads}: server.stdout.readline()
print(server.pid, flush=True)
time.sleep(1000)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path)}
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()
    eventually(lambda: not psutil.pid_exists(pid), "the server has ended", 10)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_server_leaves_no_process_and_the_next_server_removes_its_directory(
    own_server: EmbeddedServer,
) -> None:
    mark = busy(own_server)
    own_server.process.kill()
    own_server.process.wait()
    eventually(lambda: not processes_with(mark), "its children have ended", 5)
    assert own_server.directory.exists()
    following = start_embedded()
    eventually(lambda: not own_server.directory.exists(), "the next server has removed the directory", 10)
    assert following.directory.exists()
    following.end()


def test_a_killed_supervisor_takes_its_sandbox_with_it(own_server: EmbeddedServer) -> None:
    mark = busy(own_server)
    for child in psutil.Process(own_server.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # the end of one ends others
            child.kill()
    eventually(lambda: not processes_with(mark), "its children have ended", 5)
    with own_server.client() as client:
        eventually(
            lambda: client.get(f"/sandbox/{mark}").json()["state"] == "stopped", "the sandbox is stopped"
        )
        assert client.post(f"/sandbox/{mark}/start").json()["state"] == "started"


def test_a_deleted_sandbox_leaves_nothing(own_server: EmbeddedServer) -> None:
    mark = busy(own_server)
    with own_server.client() as client:
        assert client.delete(f"/sandbox/{mark}").json()["state"] == "destroyed"
        assert processes_with(mark) == []
        assert client.get(f"/sandbox/{mark}").status_code == 404
    sandboxes = own_server.directory / "sandboxes"
    eventually(
        lambda: not [path for path in sandboxes.iterdir() if mark in path.name], "its directory is gone"
    )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_cleanly(signum: int) -> None:
    server = start_embedded()
    server.lease = server.take_lease()
    mark = busy(server)
    os.kill(server.process.pid, signum)
    assert server.process.wait(10) == 0
    assert processes_with(mark) == []
    assert not server.directory.exists()
    server.end()


def test_descriptors_and_processes_do_not_pile_up(server: EmbeddedServer) -> None:
    process = psutil.Process(server.process.pid)

    def count_boxes() -> int:
        count = 0
        for child in process.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                count += "supervisor.py" in " ".join(child.cmdline())
        return count

    def use() -> None:
        with make_toolbox(server) as toolbox:
            toolbox.execute("true")
            toolbox.post("/process/session", json={"sessionId": "s"})
            toolbox.run("s", "echo a")
            toolbox.get("/files")
            with pytest.raises(httpx.TimeoutException):
                toolbox.post("/process/execute", json={"command": "sleep 5"}, timeout=0.05)

    use()
    use()  # after the second sandbox, the server keeps a warm box
    eventually(lambda: count_boxes() == 1, "only the warm box is left")
    before = process.num_fds()
    for _ in range(10):
        use()
    eventually(lambda: count_boxes() == 1, "only the warm box is left")
    eventually(lambda: process.num_fds() <= before + 2, "no descriptor is left")


def test_no_process_and_no_log_shows_the_key(server: EmbeddedServer) -> None:
    process = psutil.Process(server.process.pid)
    with make_toolbox(server) as toolbox:
        assert server.api_key not in toolbox.execute("env; cat /proc/*/environ /proc/*/cmdline")["result"]
        for one in [process, *process.children(recursive=True)]:
            assert server.api_key.encode() not in Path(f"/proc/{one.pid}/cmdline").read_bytes()
            with contextlib.suppress(PermissionError):  # nobody but root may read that of a supervisor
                assert server.api_key.encode() not in Path(f"/proc/{one.pid}/environ").read_bytes()
    assert server.api_key not in (server.directory / "server.log").read_text()
