"""Sessions: state persists, commands run one by one, and logs keep every byte."""

from __future__ import annotations

import contextlib
import random
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from websockets.sync.client import connect

from daytona_kernel.wire.logs import split_log
from tests.server.conftest import eventually

if TYPE_CHECKING:
    from tests.server.conftest import Toolbox


def follow(toolbox: Toolbox, session: str, command: str) -> tuple[bytes, int | None]:
    """Follow a command's log to its end. Return the log and the websocket's close code."""
    url = toolbox.websocket_url(f"/process/session/{session}/command/{command}/logs?follow=true")
    headers = {"Authorization": toolbox.headers["Authorization"]}
    with connect(url, additional_headers=headers, proxy=None, max_size=None, compression=None) as socket:
        log = b"".join(message if isinstance(message, bytes) else message.encode() for message in socket)
        return log, socket.close_code


def submit(toolbox: Toolbox, session: str, command: str, **more: Any) -> str:
    cmd_id: str = toolbox.run(session, command, runAsync=True, **more)["cmdId"]
    return cmd_id


def exit_code(toolbox: Toolbox, session: str, command: str) -> int | None:
    code: int | None = toolbox.get(f"/process/session/{session}/command/{command}").json().get("exitCode")
    return code


def logs(toolbox: Toolbox, session: str, command: str) -> dict[str, str]:
    answer: dict[str, str] = toolbox.get(f"/process/session/{session}/command/{command}/logs").json()
    return answer


def test_state_persists(toolbox: Toolbox, session: str) -> None:
    toolbox.run(session, "cd /tmp; export A=1; f() { echo called $1; }")
    result = toolbox.run(session, "pwd; echo $A; f x; exec 3>/dev/null")
    assert result["stdout"] == "/tmp\n1\ncalled x\n"
    assert result["exitCode"] == 0


def test_the_answer_of_a_synchronous_command(toolbox: Toolbox, session: str) -> None:
    result = toolbox.run(session, "echo out; echo err >&2; (exit 4)")
    cmd_id = result.pop("cmdId")
    assert result["exitCode"] == 4
    assert (result["stdout"], result["stderr"]) == ("out\n", "err\n")
    assert sorted(result["output"].splitlines()) == ["\x01\x01\x01out", "\x02\x02\x02err"]
    described = toolbox.get(f"/process/session/{session}").json()
    assert described == {
        "sessionId": session,
        "commands": [{"id": cmd_id, "command": "echo out; echo err >&2; (exit 4)", "exitCode": 4}],
    }
    assert described in toolbox.get("/process/session").json()


@pytest.mark.parametrize(
    ("headers", "output", "stdout"),
    [
        ({"X-Daytona-SDK-Version": ""}, "a\n", None),
        ({"X-Daytona-SDK-Version": "0.26.9"}, "a\n", None),
        ({"X-Daytona-SDK-Version": "", "X-Daytona-Split-Output": "true"}, "\x01\x01\x01a\n", None),
        ({"X-Daytona-SDK-Version": "0.27.0"}, "\x01\x01\x01a\n", None),
        ({"X-Daytona-SDK-Version": "0.166.9"}, "\x01\x01\x01a\n", None),
        ({"X-Daytona-SDK-Version": "what"}, "\x01\x01\x01a\n", None),
        ({"X-Daytona-SDK-Version": "0.167.0"}, "\x01\x01\x01a\n", "a\n"),
        ({"X-Daytona-SDK-Version": "0.0.0-dev"}, "\x01\x01\x01a\n", "a\n"),
    ],
)
def test_shapes_by_the_sdks_version(
    toolbox: Toolbox, session: str, headers: dict[str, str], output: str, stdout: str | None
) -> None:
    answer = toolbox.post(
        f"/process/session/{session}/exec", json={"command": "echo a"}, headers=headers
    ).json()
    assert (answer["output"], answer["stdout"]) == (output, stdout)
    got = toolbox.get(f"/process/session/{session}/command/{answer['cmdId']}/logs", headers=headers)
    if stdout is None:
        assert got.headers["Content-Type"].startswith("text/plain")
        assert got.text == output
    else:
        assert got.json() == {"output": output, "stdout": stdout, "stderr": ""}


def test_every_byte_is_kept(toolbox: Toolbox, session: str) -> None:
    command = submit(
        toolbox,
        session,
        r"printf 'nul\0 cr\r bad\xff\xfe marks\001\001\001\002\002\002'; printf 'e\001\001' >&2; "
        r"head -c 3000000 /dev/zero | tr '\0' y; printf 'no end'",
    )
    log, code = follow(toolbox, session, command)
    stdout, stderr = split_log(log)
    begin = b"nul\0 cr\r bad\xff\xfe marks\1\1\1\2\2\2"
    assert stdout == begin + b"y" * 3_000_000 + b"no end"
    assert stderr == b"e\1\1"
    assert code == 1000
    answer = logs(toolbox, session, command)
    assert answer["stdout"] == stdout.decode("utf-8", "replace")
    assert answer["output"] == log.decode("utf-8", "replace")


def test_a_partial_line_is_seen_at_once_and_the_close_comes_at_the_exit(
    toolbox: Toolbox, session: str
) -> None:
    command = submit(toolbox, session, "printf '%s' partial; read; echo done")
    url = toolbox.websocket_url(f"/process/session/{session}/command/{command}/logs?follow=true")
    headers = {"Authorization": toolbox.headers["Authorization"]}
    with connect(url, additional_headers=headers, proxy=None) as socket:
        assert socket.recv(timeout=5) == b"\x01\x01\x01partial"
        assert exit_code(toolbox, session, command) is None
        path = f"/process/session/{session}/command/{command}/input"
        assert toolbox.post(path, json={"data": "go"}).status_code == 204
        rest = b"".join(message for message in socket if isinstance(message, bytes))
        assert socket.close_code == 1000
    assert rest == b"go\n\x01\x01\x01done\n"  # the input is echoed
    assert exit_code(toolbox, session, command) == 0
    assert toolbox.post(path, json={"data": "late"}).status_code == 410
    assert toolbox.post(path, json={"data": "late"}).json()["code"] == "GONE"


def test_the_echo_can_be_suppressed(toolbox: Toolbox, session: str) -> None:
    command = submit(toolbox, session, "read a; echo got $a", suppressInputEcho=True)
    toolbox.post(f"/process/session/{session}/command/{command}/input", json={"data": "x\n"})
    assert follow(toolbox, session, command)[0] == b"\x01\x01\x01got x\n"


def test_input_for_a_queued_command_waits(toolbox: Toolbox, session: str) -> None:
    submit(toolbox, session, "sleep 0.3")
    command = submit(toolbox, session, "read a; echo got $a", suppressInputEcho=True)
    path = f"/process/session/{session}/command/{command}/input"
    assert toolbox.post(path, json={"data": "early"}).status_code == 204
    assert follow(toolbox, session, command)[0] == b"\x01\x01\x01got early\n"


def test_a_synchronous_command_has_no_input(toolbox: Toolbox, session: str) -> None:
    assert toolbox.run(session, "cat; echo end")["stdout"] == "end\n"


def test_commands_are_serial(toolbox: Toolbox, session: str) -> None:
    submit(toolbox, session, "sleep 0.4; echo first >> order")
    toolbox.run(session, "echo second >> order")
    assert toolbox.run(session, "cat order; rm order")["stdout"] == "first\nsecond\n"


def test_an_exit_ends_the_session_and_its_code_is_recorded(toolbox: Toolbox, session: str) -> None:
    command = submit(toolbox, session, "echo bye; exit 3")
    log, code = follow(toolbox, session, command)
    assert (log, code) == (b"\x01\x01\x01bye\n", 1000)
    assert exit_code(toolbox, session, command) == 3
    answer = toolbox.post(f"/process/session/{session}/exec", json={"command": "true"})
    assert answer.status_code == 500
    assert answer.json() == {
        "statusCode": 500,
        "message": "failed to execute command: bad request: failed to write command: write |1: broken pipe",
        "timestamp": "0001-01-01T00:00:00Z",
        "path": "",
        "method": "",
    }


def test_the_log_of_a_command_behind_an_exit_says_that_it_never_ran(toolbox: Toolbox, session: str) -> None:
    submit(toolbox, session, "sleep 0.3; exit 0")
    waiting = submit(toolbox, session, "echo never")
    log, code = follow(toolbox, session, waiting)
    assert b"never" not in log
    assert b"the session ended before this command could run" in log
    assert code == 1000
    assert exit_code(toolbox, session, waiting) == -1


def test_a_killed_shell_has_the_exit_code_of_its_signal(toolbox: Toolbox, session: str) -> None:
    command = submit(toolbox, session, "kill -9 $$")
    eventually(lambda: exit_code(toolbox, session, command) == 128 + 9, "the exit code is there")


@pytest.mark.parametrize(
    "command",
    [
        "if",
        "{",
        "exec 1>&2",
        "echo `",
        "echo 'unclosed",
        "cat <<X\nhello\nX",
        "f() { return 5; }; f",
        "# only a comment",
        "true &",
        "((1/0))",
    ],
)
def test_odd_commands_do_not_harm_the_session(toolbox: Toolbox, session: str, command: str) -> None:
    assert "exitCode" in toolbox.run(session, command)
    assert toolbox.run(session, "echo fine")["stdout"] == "fine\n"


def test_a_background_child_keeps_writing_after_the_command(toolbox: Toolbox, session: str) -> None:
    result = toolbox.run(session, "(sleep 0.3; echo late) & echo now")
    assert result["stdout"] == "now\n"
    eventually(
        lambda: logs(toolbox, session, result["cmdId"])["stdout"] == "now\nlate\n", "the late line is logged"
    )


@pytest.mark.parametrize("which", ["toolbox", "open_toolbox"])
def test_delete_ends_the_process_tree_and_the_followers(which: str, request: pytest.FixtureRequest) -> None:
    toolbox: Toolbox = request.getfixturevalue(which)
    toolbox.post("/process/session", json={"sessionId": "doomed"})
    # Without isolation, `pgrep` also finds the sleeps of other runs of this test. The mark tells them apart.
    mark = random.randrange(10**6, 10**7)  # noqa: S311  # no secret
    sleeping = f"pgrep -x sleep -a | grep ' {mark}[.][1-6]$'"
    command = submit(
        toolbox,
        "doomed",
        f"sleep {mark}.1 & nohup sleep {mark}.2 >/dev/null 2>&1 & setsid sleep {mark}.3 & "
        f"(setsid bash -c 'trap \"\" TERM; sleep {mark}.4 & sleep {mark}.5' &) ; "
        f"until [ $({sleeping} | wc -l) -ge 5 ]; do sleep 0.01; done; echo ready; sleep {mark}.6",
    )
    eventually(lambda: "ready" in logs(toolbox, "doomed", command)["stdout"], "the children run")
    url = toolbox.websocket_url(f"/process/session/doomed/command/{command}/logs?follow=true")
    headers = {"Authorization": toolbox.headers["Authorization"]}
    with connect(url, additional_headers=headers, proxy=None) as follower:
        assert toolbox.delete("/process/session/doomed").status_code == 204
        assert b"ready" in b"".join(message for message in follower if isinstance(message, bytes))
        assert follower.close_code == 1000
    assert toolbox.execute(sleeping)["result"] == ""
    assert toolbox.get("/process/session/doomed").status_code == 404


def test_delete_after_exit_ends_the_shells_orphans(toolbox: Toolbox) -> None:
    toolbox.post("/process/session", json={"sessionId": "left"})
    toolbox.run("left", "(setsid sleep 8642 &); setsid sleep 8642 & exit 0")
    # `setsid` takes a moment to become `sleep`.
    eventually(lambda: toolbox.execute("pgrep -x sleep -a | grep -c 8642")["result"] == "2\n", "both sleep")
    toolbox.delete("/process/session/left")
    assert toolbox.execute("pgrep -x sleep -a | grep 8642")["result"] == ""


def test_refusals(toolbox: Toolbox, session: str) -> None:
    def refused(method: str, path: str, **more: Any) -> tuple[int, str | None, str | None]:
        answer = toolbox.request(method, path, **more)
        body = answer.json() if answer.content else {}
        return answer.status_code, body.get("message"), body.get("code")

    base = "/process/session"
    assert refused("POST", base, json={"sessionId": session}) == (
        409,
        "conflict: session already exists",
        "CONFLICT",
    )
    for body in (b'{"sessionId": ""}', b"{", b"{}"):
        status, _, code = refused("POST", base, content=body)
        assert (status, code) == (400, "INVALID_REQUEST_BODY")
    assert refused("POST", base, json={"sessionId": "entrypoint"})[0] == 400
    for method, path in (
        ("GET", f"{base}/no"),
        ("DELETE", f"{base}/no"),
        ("GET", f"{base}/no/command/x"),
        ("GET", f"{base}/no/command/x/logs"),
    ):
        assert refused(method, path) == (404, "not found: session not found", "NOT_FOUND")
    assert refused("POST", f"{base}/no/command/x/input", json={"data": "x"})[0] == 404
    assert refused("POST", f"{base}/no/exec", json={"command": "true"}) == (
        500,
        "failed to execute command: not found: session not found",
        None,
    )
    assert refused("GET", f"{base}/{session}/command/x/logs") == (
        404,
        "not found: command not found",
        "NOT_FOUND",
    )
    for body in (b'{"command": ""}', b"{", b"{}"):
        answer = toolbox.post(f"{base}/{session}/exec", content=body)
        assert (answer.status_code, answer.content) == (400, b"")


def test_a_websocket_for_an_unknown_command_is_a_plain_404(toolbox: Toolbox, session: str) -> None:
    with pytest.raises(Exception, match="404"):
        follow(toolbox, session, "unknown")


def test_a_session_id_may_be_any_text(toolbox: Toolbox) -> None:
    for name in ("with space", "a/b", "ü", "..", "%41"):
        assert toolbox.post("/process/session", json={"sessionId": name}).status_code == 201
        path = "/process/session/" + quote(name, safe="").replace(".", "%2E")
        assert toolbox.get(path).json()["sessionId"] == name
        assert toolbox.delete(path).status_code == 204


def test_a_slow_follower_loses_nothing_and_delays_nobody(toolbox: Toolbox, session: str) -> None:
    size = 30_000_000
    command = submit(toolbox, session, f"head -c {size} /dev/zero | tr '\\0' z")
    url = toolbox.websocket_url(f"/process/session/{session}/command/{command}/logs?follow=true")
    headers = {"Authorization": toolbox.headers["Authorization"]}
    with contextlib.ExitStack() as stack:
        slow = stack.enter_context(
            connect(url, additional_headers=headers, proxy=None, max_size=None, compression=None)
        )
        log, _ = follow(
            toolbox, session, command
        )  # the fast follower ends while the slow one has read nothing
        assert len(split_log(log)[0]) == size
        eventually(lambda: exit_code(toolbox, session, command) == 0, "the command is not held up")
        slow_log = b"".join(message for message in slow if isinstance(message, bytes))
    assert slow_log == log


def test_a_thousand_commands_in_a_session(toolbox: Toolbox, session: str) -> None:
    last = [submit(toolbox, session, f"echo {number}") for number in range(1000)][-1]
    follow(toolbox, session, last)
    commands = toolbox.get(f"/process/session/{session}").json()["commands"]
    assert [command["exitCode"] for command in commands] == [0] * 1000
    assert logs(toolbox, session, commands[500]["id"])["stdout"] == "500\n"


def test_a_hundred_followers_of_one_log(toolbox: Toolbox, session: str) -> None:
    command = submit(toolbox, session, "read; for i in $(seq 2000); do echo line $i; done")
    results: list[bytes] = []
    started = threading.Barrier(101)

    def one() -> None:
        url = toolbox.websocket_url(f"/process/session/{session}/command/{command}/logs?follow=true")
        headers = {"Authorization": toolbox.headers["Authorization"]}
        with connect(url, additional_headers=headers, proxy=None, compression=None) as socket:
            started.wait(60)
            results.append(b"".join(message for message in socket if isinstance(message, bytes)))

    threads = [threading.Thread(target=one) for _ in range(100)]
    for thread in threads:
        thread.start()
    started.wait(60)
    toolbox.post(f"/process/session/{session}/command/{command}/input", json={"data": "go"})
    for thread in threads:
        thread.join(60)
    assert len(results) == 100
    assert set(results) == {results[0]}
    assert split_log(results[0])[0].endswith(b"line 2000\n")
