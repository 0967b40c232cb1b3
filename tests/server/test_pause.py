"""A paused sandbox: its processes are frozen, and nothing else about it changes."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.server.conftest import eventually, make_toolbox, processes_with, start_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer, Toolbox

COUNT = "i=0; while :; do i=$((i+1)); echo $i >> count; sleep 0.01; done"
# Trees of several generations, some of which have left their session.
TREES = f"(setsid bash -c 'sleep 1000; :' &); setsid sleep 1000 & (sleep 1000; :) & {COUNT}"
SERVERS = {
    "isolated": {},
    "landlock": {"DAYTONA_KERNEL_ISOLATION": "landlock"},
    "open": {"DAYTONA_KERNEL_ISOLATION": "none"},
    "as Daytona": {"DAYTONA_KERNEL_PROFILE": "daytona"},
}


# A profile changes nothing in how processes are frozen.
each_isolation = pytest.mark.parametrize("own_server", ["isolated", "landlock", "open"], indirect=True)


@pytest.fixture(params=SERVERS)
def own_server(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    # The watchdog would end a server whose loop a pause blocks.
    server = start_embedded(SERVERS[request.param], lease_grace=0.5, stuck=1.0)
    server.lease = server.take_lease()
    yield server
    server.end()


@pytest.fixture
def busy(own_server: EmbeddedServer) -> Iterator[Toolbox]:
    with make_toolbox(own_server, keep=True) as toolbox:
        toolbox.post("/process/session", json={"sessionId": "s"})
        toolbox.run("s", TREES, runAsync=True)
        eventually(lambda: number(toolbox) > 3, "it counts")
        yield toolbox


def number(toolbox: Toolbox) -> int:
    return int(toolbox.execute("touch count; wc -l < count")["result"])


def change(server: EmbeddedServer, toolbox: Toolbox, name: str, wanted: str) -> None:
    with server.client() as api:
        path = f"/sandbox/{toolbox.sandbox['id']}"
        answer = api.post(f"{path}/{name}")
        assert answer.status_code == 200, answer.text
        eventually(lambda: api.get(path).json()["state"] == wanted, f"its state is {wanted}")


def states(sandbox_id: str) -> dict[int, str]:
    """Return the state of each process that the sandbox's clients have started, by pid."""
    variable = f"DAYTONA_SANDBOX_ID={sandbox_id}\0".encode()
    found = {}
    for pid in processes_with(sandbox_id):
        try:
            state: str = psutil.Process(pid).status()
            if state != psutil.STATUS_ZOMBIE and variable in Path(f"/proc/{pid}/environ").read_bytes():
                found[pid] = state
        except (psutil.NoSuchProcess, OSError):
            continue
    return found


def test_all_processes_stand_still_and_go_on(own_server: EmbeddedServer, busy: Toolbox) -> None:
    mark = busy.sandbox["id"]
    change(own_server, busy, "pause", "paused")
    frozen = states(mark)
    assert len(frozen) > 4
    assert set(frozen.values()) == {psutil.STATUS_STOPPED}
    # A second pause changes nothing, and no program can start.
    change(own_server, busy, "pause", "paused")
    refused = busy.post("/process/execute", json={"command": "true"})
    assert (refused.status_code, "it is paused" in refused.json()["message"]) == (400, True)
    time.sleep(1.5)  # longer than the watchdog waits
    assert set(states(mark).values()) == {psutil.STATUS_STOPPED}
    change(own_server, busy, "start", "started")
    before = number(busy)
    eventually(lambda: number(busy) > before, "it counts again")
    command = busy.get("/process/session/s").json()["commands"][0]
    assert "exitCode" not in command
    with own_server.client() as api:
        api.delete(f"/sandbox/{mark}")
    eventually(lambda: processes_with(mark) == [], "nothing is left")


@pytest.mark.parametrize("end", ["delete", "stop", "lease", "kill"])
def test_a_paused_sandbox_can_end(own_server: EmbeddedServer, busy: Toolbox, end: str) -> None:
    mark = busy.sandbox["id"]
    change(own_server, busy, "pause", "paused")
    if end == "stop":
        change(own_server, busy, "stop", "stopped")
        assert processes_with(mark) == []
        change(own_server, busy, "start", "started")
        assert number(busy) > 0
    elif end == "delete":
        with own_server.client() as api:
            assert api.delete(f"/sandbox/{mark}").status_code == 200
    elif end == "lease":
        assert own_server.lease is not None
        own_server.lease.close()
        assert own_server.process.wait(20) == 0
    else:
        own_server.process.kill()
        own_server.process.wait()
    if end != "stop":
        eventually(lambda: processes_with(mark) == [], "nothing is left", 10)


@each_isolation
def test_timeouts_stand_still(own_server: EmbeddedServer) -> None:
    with make_toolbox(own_server) as toolbox:
        answers: list[dict[str, Any]] = []
        command = "touch begun; sleep 1.2; echo done"
        run = threading.Thread(target=lambda: answers.append(toolbox.execute(command, timeout=2)))
        with own_server.client() as api:
            path = f"/sandbox/{toolbox.sandbox['id']}"
            run.start()
            url = f"{toolbox.base_url}files/info"
            begun = {"path": "begun"}
            eventually(lambda: api.get(url, params=begun).status_code == 200, "the command has begun")
            change(own_server, toolbox, "pause", "paused")
            time.sleep(2.2)
            assert run.is_alive()
            change(own_server, toolbox, "start", "started")
            assert api.get(path).json()["state"] == "started"
        run.join(20)
        assert answers[0]["result"] == "done\n"


@each_isolation
def test_a_process_that_had_stopped_stays_stopped(own_server: EmbeddedServer) -> None:
    with make_toolbox(own_server) as toolbox:
        pid = toolbox.execute("sleep 1000 > /dev/null 2>&1 & echo $!")["result"].strip()
        state = f"cut -d' ' -f3 /proc/{pid}/stat"
        toolbox.execute(f"kill -STOP {pid}")
        eventually(lambda: toolbox.execute(state)["result"] == "T\n", "it stops")
        change(own_server, toolbox, "pause", "paused")
        change(own_server, toolbox, "start", "started")
        assert toolbox.execute(state)["result"] == "T\n"


def test_an_idle_sandbox_pauses() -> None:
    server = start_embedded(minute=0.4)
    server.lease = server.take_lease()
    try:
        with make_toolbox(server, autoPauseInterval=1) as toolbox, server.client() as api:
            path = f"/sandbox/{toolbox.sandbox['id']}"
            assert (toolbox.sandbox["autoPauseInterval"], toolbox.sandbox["autoStopInterval"]) == (1, 0)
            eventually(lambda: api.get(path).json()["state"] == "paused", "it pauses")
            assert api.post(f"{path}/start").json()["state"] == "started"
            eventually(lambda: api.get(path).json()["state"] == "paused", "it pauses again")
            both = {"autoPauseInterval": 1, "autoStopInterval": 1}
            assert api.post("/sandbox", json=both).status_code == 400
            api.post(f"{path}/stop")
            assert api.post(f"{path}/pause").status_code == 400
    finally:
        server.end()


@each_isolation
def test_a_bomb_of_forks_is_paused_or_left_alone(own_server: EmbeddedServer) -> None:
    """Many short processes at once: no process that is missed goes on in a paused sandbox."""
    with make_toolbox(own_server) as toolbox:
        toolbox.post("/process/session", json={"sessionId": "s"})
        for _ in range(5):
            toolbox.run("s", "while :; do (:) & (:) & wait; done", runAsync=True)
        change(own_server, toolbox, "pause", "paused")
        mark = toolbox.sandbox["id"]
        frozen = states(mark)
        assert set(frozen.values()) == {psutil.STATUS_STOPPED}
        time.sleep(0.3)
        assert states(mark) == frozen
        change(own_server, toolbox, "start", "started")
