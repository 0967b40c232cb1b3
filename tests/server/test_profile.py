"""The profile `daytona`: the server behaves as Daytona does, where a client can tell it from this server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from websockets.sync.client import ClientConnection, connect

from daytona_kernel.wire.logs import split_log
from tests.server.conftest import eventually, make_toolbox, new_session, start_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer, Toolbox


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    server = start_embedded({"DAYTONA_KERNEL_PROFILE": "daytona"}, terminate_grace=1)
    server.lease = server.take_lease()
    yield server
    server.end()


def followed(toolbox: Toolbox, session: str, command: str) -> ClientConnection:
    url = toolbox.websocket_url(f"/process/session/{session}/command/{command}/logs?follow=true")
    headers = {"Authorization": toolbox.headers["Authorization"]}
    return connect(url, additional_headers=headers, proxy=None, compression=None)


def receive(follower: ClientConnection) -> bytes:
    frame = follower.recv(20)
    assert isinstance(frame, bytes)
    return frame


def submit(toolbox: Toolbox, session: str, command: str) -> str:
    cmd_id: str = toolbox.run(session, command, runAsync=True)["cmdId"]
    return cmd_id


def described(toolbox: Toolbox, session: str, command: str) -> dict[str, Any]:
    """Return a command. Its exit code cannot be read for a moment."""
    path = f"/process/session/{session}/command/{command}"
    answer = eventually(
        lambda: next((a for a in [toolbox.get(path)] if a.status_code == 200), None), "the code can be read"
    )
    about: dict[str, Any] = answer.json()
    return about


def ended(toolbox: Toolbox, session: str, command: str) -> int:
    """Wait for a command's end, and return its exit code."""
    about = eventually(
        lambda: next((a for a in [described(toolbox, session, command)] if "exitCode" in a), None),
        "the command has ended",
    )
    code: int = about["exitCode"]
    return code


def test_a_sandbox_passes_through_its_states(server: EmbeddedServer) -> None:
    with server.client() as api:
        created = api.post("/sandbox", json={}).json()
        path = f"/sandbox/{created['id']}"

        def state() -> str:
            answer = api.get(path)
            return str(answer.json()["state"]) if answer.status_code == 200 else "gone"

        assert created["state"] == state() == "creating"
        eventually(lambda: state() == "started", "the sandbox starts")
        assert api.post(f"{path}/stop").json()["state"] == "stopping"
        for change in ("start", "stop"):
            assert api.post(f"{path}/{change}").status_code == 400
        eventually(lambda: state() == "stopped", "the sandbox stops")
        assert api.post(f"{path}/start").json()["state"] == "starting"
        eventually(lambda: state() == "started", "the sandbox starts again")
        assert api.delete(path).json()["state"] == state() == "destroying"
        eventually(lambda: state() == "gone", "the sandbox is deleted")


def test_only_a_sandbox_from_an_image_has_a_size(server: EmbeddedServer) -> None:
    with server.client() as api:
        refused = api.post("/sandbox", json={"cpu": 1})
        assert refused.status_code == 400
        assert refused.json()["message"] == "Cannot specify Sandbox resources when using a snapshot"
    image = {"dockerfileContent": "FROM python:3.13\n"}
    with make_toolbox(server, cpu=1, memory=1, buildInfo=image) as toolbox:
        assert toolbox.execute("echo yes")["result"] == "yes\n"


def test_the_working_directory_is_the_home_and_a_tilde_is_a_name(toolbox: Toolbox) -> None:
    home = toolbox.get("/user-home-dir").json()["dir"]
    assert toolbox.get("/work-dir").json()["dir"] == home
    assert toolbox.execute("pwd")["result"] == f"{home}\n"
    assert toolbox.execute("pwd", cwd="~")["exitCode"] == -1


def test_a_command_is_sourced_as_a_file(toolbox: Toolbox, session: str) -> None:
    assert toolbox.run(session, "echo ${#BASH_SOURCE[@]}; kept=1")["stdout"] == "1\n"
    assert toolbox.run(session, "echo $kept; return 7; echo on") | {"cmdId": ""} == {
        "cmdId": "",
        "exitCode": 7,
        "output": "\x01\x01\x011\n",
        "stdout": "1\n",
        "stderr": "",
    }
    assert "cmd.sh: line 2: no-such-command" in toolbox.run(session, "\nno-such-command")["stderr"]
    assert toolbox.run(session, "kill -INT $$; echo on")["stdout"] == "on\n"
    assert toolbox.run(session, "echo 'unclosed")["exitCode"] != 0
    assert toolbox.run(session, "echo still here")["stdout"] == "still here\n"


def test_a_log_has_whole_lines_without_zero_bytes(toolbox: Toolbox, session: str) -> None:
    command = submit(toolbox, session, r"printf 'a\0b\nc'; printf 'd\n\ne' >&2; read; printf x")
    with followed(toolbox, session, command) as follower:
        log = receive(follower)
        while log.count(b"\n") < 3:
            log += receive(follower)
        assert split_log(log) == (b"ab\n", b"d\n\n")  # each stream has an incomplete line
        toolbox.post(f"/process/session/{session}/command/{command}/input", json={"data": "\n"})
        while log.count(b"\n") < 6:
            log += receive(follower)
    assert split_log(log) == (b"ab\n\ncx\n", b"d\n\ne\n")


def test_a_follower_gets_small_frames_and_ends_a_second_late(toolbox: Toolbox, session: str) -> None:
    command = submit(toolbox, session, "seq 3000")
    with followed(toolbox, session, command) as follower:
        ended(toolbox, session, command)
        start = time.monotonic()
        frames = [frame for frame in follower if isinstance(frame, bytes)]
        assert time.monotonic() - start > 0.5
        assert (follower.close_code, follower.close_reason) == (1000, "")
    assert max(map(len, frames)) <= 1024
    assert split_log(b"".join(frames))[0].split() == [b"%d" % number for number in range(1, 3001)]
    answer = toolbox.get(
        f"/process/session/{session}/command/{command}/logs",
        headers={"Range": "bytes=5-", "X-Daytona-SDK-Version": "", "X-Daytona-Split-Output": "true"},
    )
    assert (answer.status_code, answer.content) == (200, b"".join(frames))


@pytest.mark.parametrize("command", ["exit 4", "set -e; false", "exec true"])
def test_a_command_that_ends_its_shell_never_gets_an_exit_code(toolbox: Toolbox, command: str) -> None:
    with new_session(toolbox) as session:
        ending = submit(toolbox, session, f"printf last; {command}")
        with followed(toolbox, session, ending) as follower:
            assert receive(follower) == b"\x01\x01\x01last\n"

            def refused() -> bool:
                answer = toolbox.post(
                    f"/process/session/{session}/exec", json={"command": ":", "async": True}
                )
                return answer.status_code == 500 and "broken pipe" in answer.json()["message"]

            eventually(refused, "the shell has ended")
            assert "exitCode" not in described(toolbox, session, ending)
            with pytest.raises(TimeoutError):
                follower.recv(0.2)
            path = f"/process/session/{session}/command/{ending}/input"
            assert toolbox.post(path, json={"data": "x"}).status_code == 500
            assert toolbox.delete(f"/process/session/{session}").status_code == 204
            assert list(follower) == []
            assert follower.close_code == 1000


def test_a_command_lasts_as_long_as_its_background_job_holds_the_output(
    toolbox: Toolbox, session: str
) -> None:
    command = submit(toolbox, session, "mkfifo go; { read < go; echo late; } & echo now")
    with followed(toolbox, session, command) as follower:
        assert receive(follower) == b"\x01\x01\x01now\n"
        with pytest.raises(TimeoutError):
            follower.recv(0.2)
        assert "exitCode" not in described(toolbox, session, command)
        toolbox.execute("echo > go; rm go")
        assert receive(follower) == b"\x01\x01\x01late\n"
    assert ended(toolbox, session, command) == 0


def test_sessions_and_commands_are_listed_in_random_order(toolbox: Toolbox, session: str) -> None:
    for _ in range(6):
        toolbox.run(session, ":")

    def listed() -> tuple[str, ...]:
        answer = toolbox.get(f"/process/session/{session}")
        assert answer.status_code == 200, answer.text
        return tuple(each["id"] for each in answer.json()["commands"])

    assert len({listed() for _ in range(10)}) > 1


def test_refusals_of_file_operations_say_nothing(toolbox: Toolbox) -> None:
    for answer in (
        toolbox.get("/files/info", params={"path": "/no"}),
        toolbox.get("/files/download", params={"path": "/no"}),
        toolbox.get("/files", params={"path": "/no"}),
        toolbox.delete("/files", params={"path": "/no"}),
        toolbox.post("/files/move", params={"source": "/no", "destination": "/tmp/x"}),
    ):
        assert (answer.status_code, answer.content) == (404, b"")
    path, content = (None, "/usr/no/file"), ("file", b"content")
    refused = toolbox.post("/files/bulk-upload", files=[("files[0].path", path), ("files[0].file", content)])
    assert refused.status_code == 400
    (error,) = refused.json()["errors"]
    assert error.startswith("/usr/no/file: ")


def test_a_shell_splits_the_arguments_of_code(toolbox: Toolbox) -> None:
    code = {"code": "import sys; print(sys.argv[1:])", "language": "python", "argv": ["b c", "$((1 + 1))"]}
    assert toolbox.post("/process/code-run", json=code).json()["result"] == "['b', 'c', '2']\n"


def test_a_timeout_kills_only_the_process_group(toolbox: Toolbox) -> None:
    command = "setsid sleep 1.5 & sleep 60"
    start = time.monotonic()
    answer = toolbox.post("/process/execute", json={"command": command, "timeout": 1})
    assert answer.status_code == 408
    assert time.monotonic() - start > 1.4  # the daemon waits for the other group, which holds the output
