"""The next sandbox stands ready before it is asked for, and is nobody's until then."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.server.conftest import eventually, start_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer


@pytest.fixture(params=["auto", "none"])
def prepared(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    """A server that has a spare."""
    server = start_embedded({"DAYTONA_KERNEL_ISOLATION": request.param})
    server.lease = server.take_lease()
    eventually(lambda: spares(server) and supervisors(server), "there is a spare")
    yield server
    server.end()


def spares(server: EmbeddedServer) -> list[str]:
    """Return the ids that have a directory and are no sandboxes."""
    with server.client() as client:
        known = {item["id"] for item in client.get("/sandbox").json()["items"]}
    return [path.name for path in (server.root / "sandboxes").iterdir() if path.name not in known]


def supervisors(server: EmbeddedServer) -> list[psutil.Process]:
    """Return the server's processes that run a supervisor, or what isolates one."""
    return [
        one
        for one in psutil.Process(server.process.pid).children()
        if runs(one) and "supervisor.py" in " ".join(one.cmdline())
    ]


def runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_sandbox_takes_the_spare_and_another_follows_the_second(prepared: EmbeddedServer) -> None:
    [spare] = spares(prepared)
    [supervisor] = supervisors(prepared)
    with prepared.client() as client:
        made = client.post("/sandbox", json={"name": "first", "env": {"A": "b"}}).json()
        assert (made["id"], made["state"], made["name"]) == (spare, "started", "first")
        toolbox = f"{made['toolboxProxyUrl']}/{spare}"
        ran = client.post(f"{toolbox}/process/execute", json={"command": "echo $A; pwd"}).json()
        assert ran["result"].startswith("b\n")
        assert supervisors(prepared) == [supervisor]
        assert spares(prepared) == []
        client.post("/sandbox", json={})
        [following] = eventually(lambda: spares(prepared), "another spare is being made")
        assert client.post("/sandbox", json={}).json()["id"] == following


def test_a_spare_is_no_sandbox(prepared: EmbeddedServer) -> None:
    [spare] = spares(prepared)
    with prepared.client() as client:
        assert client.get("/sandbox").json()["items"] == []
        assert client.get(f"/sandbox/{spare}").status_code == 404
        toolbox = client.get("/config").json()["proxyToolboxUrl"]
        assert client.get(f"{toolbox}/{spare}/process/session").status_code == 404


def test_a_spare_with_other_limits_is_not_used(prepared: EmbeddedServer) -> None:
    if prepared.isolation == "none":
        pytest.skip("without isolation there are no limits")
    with prepared.client() as client:
        made = client.post("/sandbox", json={"memory": 1}).json()
        toolbox = f"{made['toolboxProxyUrl']}/{made['id']}"
        ran = client.post(f"{toolbox}/process/execute", json={"command": "ulimit -d"}).json()
        assert int(ran["result"]) == 1 << 20  # KiB


def test_a_spare_that_was_killed_is_not_used(prepared: EmbeddedServer) -> None:
    below = psutil.Process(prepared.process.pid).children(recursive=True)
    for one in below:
        one.kill()
    eventually(lambda: not any(map(runs, below)), "it has ended")
    with prepared.client() as client:
        made = client.post("/sandbox", json={}).json()
        assert made["state"] == "started"
        toolbox = f"{made['toolboxProxyUrl']}/{made['id']}"
        ran = client.post(f"{toolbox}/process/execute", json={"command": "echo here"}).json()
        assert ran["result"] == "here\n"
    assert len(psutil.Process(prepared.process.pid).children()) == 1


def test_names_stay_unique_when_all_ask_at_once(prepared: EmbeddedServer) -> None:
    with prepared.client() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/sandbox", json={"name": "one"}), range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
        assert [item["name"] for item in client.get("/sandbox").json()["items"]] == ["one"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_the_spare_ends_with_the_server(prepared: EmbeddedServer, signum: int) -> None:
    below = psutil.Process(prepared.process.pid).children(recursive=True)
    assert below
    os.kill(prepared.process.pid, signum)
    prepared.process.wait(10)
    eventually(lambda: not any(map(runs, below)), "all below it has ended", 5)
