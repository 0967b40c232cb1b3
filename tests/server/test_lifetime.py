"""The server lives as long as a lease is open, and whatever dies, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.server.conftest import eventually, make_toolbox, processes_with, start_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer, Toolbox

# A tree that tries hard to get away.
RUNAWAY = (
    "(setsid sleep 1000 &); setsid sleep 1000 & nohup sleep 1000 >/dev/null 2>&1 & "
    "(setsid bash -c 'trap \"\" TERM HUP; (setsid sleep 1000 &); sleep 1000' &); sleep 1000"
)
ISOLATIONS = ["auto", "none"]


@pytest.fixture(params=ISOLATIONS)
def own_server(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    server = start_embedded({"DAYTONA_KERNEL_ISOLATION": request.param})
    server.lease = server.take_lease()
    yield server
    server.end()


def busy(server: EmbeddedServer) -> str:
    """Make a sandbox with runaway children; return a mark that all of them carry."""
    context = make_toolbox(server)
    toolbox: Toolbox = context.__enter__()
    toolbox.post("/process/session", json={"sessionId": "s"})
    toolbox.run("s", RUNAWAY, runAsync=True)
    toolbox.execute("(setsid sleep 1000 >/dev/null 2>&1 &)")
    mark: str = toolbox.sandbox["id"]
    eventually(lambda: len(processes_with(mark)) >= 7, "the children run")
    server.busy = context  # type: ignore[attr-defined]
    return mark


def test_without_a_lease_all_of_it_goes(own_server: EmbeddedServer) -> None:
    mark = busy(own_server)
    assert own_server.lease is not None
    own_server.lease.close()
    assert own_server.process.wait(10) == 0
    assert processes_with(mark) == []
    assert not own_server.root.exists()


def test_delete_of_the_lease_does_not_wait(own_server: EmbeddedServer) -> None:
    mark = busy(own_server)
    began = time.monotonic()
    with own_server.client() as client:
        assert client.delete("/lease").status_code == 204
    assert own_server.process.wait(10) == 0
    assert time.monotonic() - began < 3
    assert processes_with(mark) == []
    assert not own_server.root.exists()


def test_another_lease_within_the_grace_keeps_it() -> None:
    server = start_embedded()
    server.take_lease().close()
    kept = server.take_lease()
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(6)
    server.end()
    kept.close()
    assert server.process.wait(10) == 0


def test_a_killed_starter_takes_everything_with_it() -> None:
    program = """
import json, subprocess, sys, urllib.request, time
command = [sys.executable, "-m", "daytona_kernel.server", "--embedded"]
server = subprocess.Popen(command, stdout=subprocess.PIPE)
said = json.loads(server.stdout.readline())
headers = {"Authorization": "Bearer " + said["api_key"]}
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
lease = opener.open(urllib.request.Request(said["api_url"] + "/lease", headers=headers))
made = opener.open(urllib.request.Request(said["api_url"] + "/sandbox", data=b"{}", headers=headers))
print(json.dumps({"id": json.load(made)["id"], "pid": server.pid}), flush=True)
time.sleep(1000)
"""
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    said = json.loads(starter.stdout.readline())
    assert processes_with(said["id"]) or psutil.pid_exists(said["pid"])
    starter.kill()
    starter.wait()
    eventually(lambda: not psutil.pid_exists(said["pid"]), "the server has ended", 10)
    assert processes_with(said["id"]) == []


def test_a_killed_server_leaves_no_process_and_the_next_one_sweeps(own_server: EmbeddedServer) -> None:
    mark = busy(own_server)
    own_server.process.kill()
    own_server.process.wait()
    eventually(lambda: not processes_with(mark), "its children have ended", 5)
    assert own_server.root.exists()
    following = start_embedded()
    eventually(lambda: not own_server.root.exists(), "the next server has swept", 10)
    assert following.root.exists()
    following.end()


def test_a_killed_supervisor_takes_its_sandbox_with_it(own_server: EmbeddedServer) -> None:
    mark = busy(own_server)
    for child in psutil.Process(own_server.process.pid).children():
        child.kill()
    eventually(lambda: not processes_with(mark), "its children have ended", 5)
    with own_server.client() as client:
        eventually(lambda: client.get(f"/sandbox/{mark}").json()["state"] == "stopped", "it is stopped")
        assert client.post(f"/sandbox/{mark}/start").json()["state"] == "started"


def test_a_deleted_sandbox_leaves_nothing(own_server: EmbeddedServer) -> None:
    mark = busy(own_server)
    with own_server.client() as client:
        assert client.delete(f"/sandbox/{mark}").json()["state"] == "destroyed"
        assert processes_with(mark) == []
        assert client.get(f"/sandbox/{mark}").status_code == 404
    sandboxes = own_server.root / "sandboxes"
    eventually(lambda: not [path for path in sandboxes.iterdir() if mark in path.name], "it is gone")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(signum: int) -> None:
    server = start_embedded()
    server.lease = server.take_lease()
    mark = busy(server)
    os.kill(server.process.pid, signum)
    assert server.process.wait(10) == 0
    assert processes_with(mark) == []
    assert not server.root.exists()


def test_descriptors_and_processes_do_not_pile_up(server: EmbeddedServer) -> None:
    process = psutil.Process(server.process.pid)

    def use() -> None:
        with make_toolbox(server) as toolbox:
            toolbox.execute("true")
            toolbox.post("/process/session", json={"sessionId": "s"})
            toolbox.run("s", "echo a")
            toolbox.get("/files")
            with pytest.raises(httpx.TimeoutException):
                toolbox.post("/process/execute", json={"command": "sleep 5"}, timeout=0.05)

    use()
    use()  # the second one tells that more may follow, so there is a spare from now on
    eventually(lambda: len(process.children()) == 1, "only the spare is left")
    before = process.num_fds()
    for _ in range(10):
        use()
    eventually(lambda: len(process.children()) == 1, "only the spare is left")
    eventually(lambda: process.num_fds() <= before + 2, "no descriptor is left")


def test_the_key_is_nowhere_to_be_read(server: EmbeddedServer) -> None:
    process = psutil.Process(server.process.pid)
    with make_toolbox(server) as toolbox:
        assert server.api_key not in toolbox.execute("env; cat /proc/*/environ /proc/*/cmdline")["result"]
        for one in [process, *process.children(recursive=True)]:
            assert server.api_key.encode() not in Path(f"/proc/{one.pid}/cmdline").read_bytes()
            assert server.api_key.encode() not in Path(f"/proc/{one.pid}/environ").read_bytes()
    assert server.api_key not in (server.root / "server.log").read_text()
