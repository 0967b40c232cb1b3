"""A box for the next sandbox is started ahead. No client sees it before that sandbox is created."""

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
def warm_server(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    """A server that has a warm box."""
    server = start_embedded({"DAYTONA_KERNEL_ISOLATION": request.param}, warm_box_delay=0.3)
    server.lease = server.take_lease()
    eventually(lambda: warm_boxes(server) and supervisors(server), "there is a warm box")
    yield server
    server.end()


def warm_boxes(server: EmbeddedServer) -> list[str]:
    """Return the ids of boxes that belong to no sandbox."""
    with server.client() as client:
        known = {item["id"] for item in client.get("/sandbox").json()["items"]}
    return [path.name for path in (server.directory / "sandboxes").iterdir() if path.name not in known]


def supervisors(server: EmbeddedServer) -> list[psutil.Process]:
    """Return the server's children that are supervisors, or the bubblewrap around one."""
    return [
        one
        for one in psutil.Process(server.process.pid).children()
        if runs(one) and "supervisor.py" in " ".join(one.cmdline())
    ]


def runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_sandbox_takes_the_warm_box_and_the_second_one_starts_the_next(warm_server: EmbeddedServer) -> None:
    [warm_box] = warm_boxes(warm_server)
    [supervisor] = supervisors(warm_server)
    with warm_server.client() as client:
        created = client.post("/sandbox", json={"name": "first", "env": {"A": "b"}}).json()
        assert (created["id"], created["state"], created["name"]) == (warm_box, "started", "first")
        toolbox = f"{created['toolboxProxyUrl']}/{warm_box}"
        ran = client.post(f"{toolbox}/process/execute", json={"command": "echo $A; pwd"}).json()
        assert ran["result"].startswith("b\n")
        assert supervisors(warm_server) == [supervisor]
        assert warm_boxes(warm_server) == []
        client.post("/sandbox", json={})
        [following] = eventually(lambda: warm_boxes(warm_server), "the next warm box starts")
        assert client.post("/sandbox", json={}).json()["id"] == following


def test_a_warm_box_is_not_a_sandbox(warm_server: EmbeddedServer) -> None:
    [warm_box] = warm_boxes(warm_server)
    with warm_server.client() as client:
        assert client.get("/sandbox").json()["items"] == []
        assert client.get(f"/sandbox/{warm_box}").status_code == 404
        toolbox = client.get("/config").json()["proxyToolboxUrl"]
        assert client.get(f"{toolbox}/{warm_box}/process/session").status_code == 404


def test_a_warm_box_with_other_limits_is_not_used(warm_server: EmbeddedServer) -> None:
    if warm_server.isolation == "none":
        pytest.skip("without isolation there are no limits")
    with warm_server.client() as client:
        created = client.post("/sandbox", json={"memory": 1}).json()
        toolbox = f"{created['toolboxProxyUrl']}/{created['id']}"
        ran = client.post(f"{toolbox}/process/execute", json={"command": "ulimit -d"}).json()
        assert int(ran["result"]) == 1 << 20  # KiB


def test_a_warm_box_that_was_killed_is_not_used(warm_server: EmbeddedServer) -> None:
    descendants = psutil.Process(warm_server.process.pid).children(recursive=True)
    for process in descendants:
        process.kill()
    eventually(lambda: not any(map(runs, descendants)), "the supervisor has ended")
    with warm_server.client() as client:
        created = client.post("/sandbox", json={}).json()
        assert created["state"] == "started"
        toolbox = f"{created['toolboxProxyUrl']}/{created['id']}"
        ran = client.post(f"{toolbox}/process/execute", json={"command": "echo here"}).json()
        assert ran["result"] == "here\n"
    assert len(supervisors(warm_server)) == 1


def test_names_stay_unique_when_all_clients_create_at_once(warm_server: EmbeddedServer) -> None:
    with warm_server.client() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/sandbox", json={"name": "one"}), range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
        assert [item["name"] for item in client.get("/sandbox").json()["items"]] == ["one"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_the_warm_box_ends_with_the_server(warm_server: EmbeddedServer, signum: int) -> None:
    descendants = psutil.Process(warm_server.process.pid).children(recursive=True)
    assert descendants
    os.kill(warm_server.process.pid, signum)
    warm_server.process.wait(10)
    eventually(lambda: not any(map(runs, descendants)), "its descendants have ended", 5)
