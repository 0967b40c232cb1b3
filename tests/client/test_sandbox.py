"""Sandboxes of a real server, and what a slow control plane does."""

from __future__ import annotations

import secrets
import shutil
import time
from typing import Any

import httpx
import pytest

from daytona_kernel import (
    CreateSandboxParams,
    DaytonaConfig,
    DaytonaError,
    DaytonaNotFoundError,
    DaytonaTimeoutError,
    ListSandboxesQuery,
    Resources,
    SessionExecuteRequest,
)
from tests.conftest import both_profiles

from .conftest import KEY
from .faulty_server import FaultyServer, reply


@both_profiles
def test_create_get_and_delete(daytona: Any) -> None:
    params = CreateSandboxParams(
        name="a-name",
        language="javascript",
        env_vars={"NAME": "value"},
        labels={"purpose": "test"},
        auto_stop_interval=7,
        auto_delete_interval=60,
    )
    sandbox = daytona.create(params)
    try:
        assert (sandbox.state, sandbox.name, sandbox.language) == ("started", "a-name", "javascript")
        assert sandbox.labels["purpose"] == "test"
        assert sandbox.instance.auto_stop_interval == 7
        assert sandbox.process.exec("echo $NAME").result == "value\n"
        if shutil.which("node"):
            assert sandbox.process.code_run("console.log(1 + 1)").result == "2\n"
        found = daytona.get("a-name")
        assert found.id == sandbox.id
        assert found.process.exec("true").exit_code == 0
    finally:
        daytona.delete(sandbox)
    wait_until_gone(daytona, sandbox.id)


def wait_until_gone(daytona: Any, sandbox_id: str) -> None:
    """Wait for the end of a deletion, which Daytona finishes later."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            assert daytona.get(sandbox_id).state == "destroying"
        except DaytonaNotFoundError:
            return
        time.sleep(0.02)
    pytest.fail("the sandbox is not deleted")


def test_list_goes_through_all_pages(daytona: Any) -> None:
    made = [daytona.create(CreateSandboxParams(labels={"batch": "b"})) for _ in range(3)]
    try:
        query = ListSandboxesQuery(labels={"batch": "b"}, limit=1, states=["started"])
        assert {sandbox.id for sandbox in daytona.list(query)} == {sandbox.id for sandbox in made}
        assert list(daytona.list(ListSandboxesQuery(labels={"batch": "other"}))) == []
    finally:
        for sandbox in made:
            sandbox.delete()


def test_stop_and_start_keep_files(sandbox: Any) -> None:
    sandbox.fs.upload_file(b"kept", "file")
    sandbox.stop()
    assert sandbox.state == "stopped"
    sandbox.start()
    assert sandbox.state == "started"
    assert sandbox.fs.download_file("file") == b"kept"


def test_a_paused_sandbox_goes_on_where_it_was(sandbox: Any) -> None:
    count = "while :; do echo >> count; sleep 0.02; done"
    sandbox.process.create_session("s")
    sandbox.process.execute_session_command("s", SessionExecuteRequest(command=count, run_async=True))
    sandbox.process.exec("until [ -s count ]; do sleep 0.01; done", timeout=20)
    sandbox.pause()
    assert sandbox.state == "paused"
    with pytest.raises(DaytonaError, match="not started, it is paused"):
        sandbox.process.exec("true")
    sandbox.start()
    assert sandbox.state == "started"
    sandbox.process.exec(
        "n=$(wc -l < count); until [ $(wc -l < count) -gt $n ]; do sleep 0.01; done", timeout=20
    )


def test_usage(sandbox: Any) -> None:
    usage = sandbox.get_metrics_latest()
    assert usage.cpu_count >= 1
    assert 0 < usage.memory_used < usage.memory_total
    assert 0 < usage.disk_used < usage.disk_total


def test_auto_pause_replaces_auto_stop(daytona: Any, sandbox: Any) -> None:
    sandbox.set_auto_pause_interval(9)
    intervals = daytona.get(sandbox.id).instance
    assert (intervals.auto_stop_interval, intervals.auto_pause_interval) == (0, 9)
    sandbox.set_autostop_interval(7)
    intervals = daytona.get(sandbox.id).instance
    assert (intervals.auto_stop_interval, intervals.auto_pause_interval) == (7, 0)


def test_labels_intervals_and_activity(daytona: Any, sandbox: Any) -> None:
    assert sandbox.set_labels({"a": "1"}) == {"a": "1"}  # all of them, as the official SDK does
    sandbox.set_autostop_interval(3)
    sandbox.set_auto_archive_interval(4)
    sandbox.set_auto_delete_interval(5)
    sandbox.refresh_activity()
    for seen in (sandbox, daytona.get(sandbox.id)):
        assert seen.labels["a"] == "1"
        instance = seen.instance
        assert (instance.auto_stop_interval, instance.auto_archive_interval) == (3, 4)
        assert instance.auto_delete_interval == 5


def test_directories_and_version(sandbox: Any) -> None:
    assert sandbox.process.exec("pwd").result.strip() == sandbox.get_work_dir()
    assert sandbox.process.exec("echo $HOME").result.strip() == sandbox.get_user_home_dir()
    assert sandbox.get_version()


def test_a_port_is_reached_through_its_preview_and_through_the_toolbox(sandbox: Any) -> None:
    port = 3000 + secrets.randbelow(6000)
    process = sandbox.process
    process.create_session("web")
    command = f"echo hello > page && python3 -u -m http.server {port} --bind 127.0.0.1"
    running = process.execute_session_command("web", SessionExecuteRequest(command, run_async=True))
    follower = process.follow_session_command_logs("web", running.cmd_id)
    assert b"Serving" in next(iter(follower)).data
    follower.close()
    url, token = sandbox.preview_url(port)
    answer = httpx.get(f"{url}/page", headers={"x-daytona-preview-token": token}, trust_env=False)
    assert answer.text == "hello\n"
    assert token not in repr(sandbox.preview_url(port)) or not token
    toolbox = sandbox.process.toolbox_api
    headers = toolbox.headers_for(f"{sandbox.toolbox_url}/proxy/{port}/page")
    answer = httpx.get(f"{sandbox.toolbox_url}/proxy/{port}/page", headers=headers, trust_env=False)
    assert answer.text == "hello\n"


def control_plane(faulty: FaultyServer, *states: str, **more: Any) -> None:
    """Answer as a control plane whose sandbox goes through these states."""
    base = {"id": "i", "name": "n", "labels": {}, "toolboxProxyUrl": f"{faulty.url}/toolbox", **more}
    first, *later = [reply(200, {**base, "state": state}) for state in states]
    faulty.on("POST", "/sandbox", first)
    faulty.on("GET", "/sandbox/i", *(later or [first]))


def client(connect: Any, faulty: FaultyServer, **config: Any) -> Any:
    return connect(DaytonaConfig(api_key=KEY, api_url=faulty.url, **config))


def test_create_waits_until_started(connect: Any, faulty: FaultyServer, no_pauses: list[float]) -> None:
    control_plane(faulty, "pending_build", "creating", "starting", "started")
    params = CreateSandboxParams(
        snapshot="a-snapshot", resources=Resources(cpu=2, memory=4), ephemeral=True, public=False
    )
    assert client(connect, faulty, target="eu").create(params).state == "started"
    assert len(no_pauses) == 3
    assert no_pauses == sorted(no_pauses)
    body = faulty.requests[0].json
    assert body == {
        "snapshot": "a-snapshot",
        "target": "eu",
        "env": {},
        "labels": {"code-toolbox-language": "python"},
        "public": False,
        "autoDeleteInterval": 0,
        "cpu": 2,
        "memory": 4,
        "volumes": [],
    }


def test_a_sandbox_that_starts_at_once_is_not_polled(connect: Any, faulty: FaultyServer) -> None:
    control_plane(faulty, "started")
    client(connect, faulty).create()
    assert len(faulty.requests) == 1


def test_create_says_why_it_failed_and_leaves_nothing(
    connect: Any, faulty: FaultyServer, no_pauses: list[float]
) -> None:
    control_plane(faulty, "creating", "error", errorReason="no capacity")
    faulty.on("DELETE", "/sandbox/i", reply(200))
    with pytest.raises(DaytonaError, match="no capacity"):
        client(connect, faulty).create()
    assert faulty.count("DELETE", "/sandbox/i") == 1


def test_create_that_takes_too_long_names_the_sandbox(connect: Any, faulty: FaultyServer) -> None:
    control_plane(faulty, "creating")
    with pytest.raises(DaytonaTimeoutError, match="its state is creating") as caught:
        client(connect, faulty).create(timeout=0.2)
    assert caught.value.sandbox_id == "i"


def test_toolbox_url_is_requested_if_the_sandbox_does_not_have_it(connect: Any, faulty: FaultyServer) -> None:
    control_plane(faulty, "started", toolboxProxyUrl=None)
    faulty.on("GET", "/sandbox/i/toolbox-proxy-url", reply(200, {"url": "http://elsewhere/toolbox/"}))
    assert client(connect, faulty).get("i").toolbox_url == "http://elsewhere/toolbox/i"


def test_token_goes_with_its_organization(connect: Any, faulty: FaultyServer) -> None:
    control_plane(faulty, "started")
    config = DaytonaConfig(jwt_token="a-token", organization_id="an-organization", api_url=faulty.url)
    connect(config).get("i")
    headers = faulty.requests[0].headers
    assert headers["authorization"] == "Bearer a-token"
    assert headers["x-daytona-organization-id"] == "an-organization"
