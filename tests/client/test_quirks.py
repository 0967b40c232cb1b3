"""Quirks of real toolboxes that are not in their documentation, reproduced by the faulty server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from daytona_kernel import (
    CodeRunParams,
    DaytonaBadGatewayError,
    DaytonaBadRequestError,
    DaytonaCommandAlreadyCompletedError,
    DaytonaError,
    DaytonaInternalServerError,
    DaytonaNotFoundError,
    DaytonaSessionEndedError,
    SessionExecuteRequest,
)
from tests.conftest import on_own

from .faulty_server import FaultyServer, reply

SESSION = "/process/session/s"
COMMAND = SESSION + "/command/c"
OUT, ERR = "\x01\x01\x01", "\x02\x02\x02"


def untyped(message: str) -> dict[str, Any]:
    """Return the body of an error for which the toolbox has no code."""
    return {
        "statusCode": 500,
        "message": message,
        "timestamp": "0001-01-01T00:00:00Z",
        "path": "",
        "method": "",
    }


RACE = reply(500, untyped('failed to convert exit code to int: strconv.Atoi: parsing "": invalid syntax'))


def test_exit_code_race_is_read_again(process: Any, faulty: FaultyServer) -> None:
    faulty.on("GET", COMMAND, RACE, RACE, reply(200, {"id": "c", "command": "true", "exitCode": 0}))
    assert process.get_session_command("s", "c").exit_code == 0
    assert faulty.count("GET", COMMAND) == 3


def test_exit_code_race_of_a_session_is_read_again(process: Any, faulty: FaultyServer) -> None:
    faulty.on("GET", SESSION, RACE, reply(200, {"sessionId": "s", "commands": None}))
    faulty.on("GET", "/process/session", RACE, reply(200, []))
    assert process.get_session("s").commands == []
    assert process.list_sessions() == []


def test_exit_code_race_never_ends_in_a_wrong_answer(
    process: Any, faulty: FaultyServer, no_pauses: list[float]
) -> None:
    faulty.on("GET", COMMAND, RACE)
    with pytest.raises(DaytonaInternalServerError, match="exit code"):
        process.get_session_command("s", "c")


def test_exit_code_race_of_a_command_does_not_run_it_again(process: Any, faulty: FaultyServer) -> None:
    faulty.on("POST", SESSION + "/exec", RACE)
    command = {"id": "c", "command": "make", "exitCode": 2}
    faulty.on(
        "GET", SESSION, reply(200, {"sessionId": "s", "commands": [{"id": "b", "command": "ls"}, command]})
    )
    faulty.on("GET", COMMAND, RACE, reply(200, command))
    faulty.on("GET", COMMAND + "/logs", reply(200, f"{OUT}done\n".encode(), content_type="text/plain"))
    response = process.execute_session_command("s", SessionExecuteRequest("make"))
    assert (response.cmd_id, response.exit_code, response.output) == ("c", 2, "done\n")
    assert faulty.count("POST", SESSION + "/exec") == 1


def test_exit_code_race_that_leaves_doubt_says_so(process: Any, faulty: FaultyServer) -> None:
    faulty.on("POST", SESSION + "/exec", RACE)
    same = [{"id": "1", "command": "make", "exitCode": 0}, {"id": "2", "command": "make", "exitCode": 2}]
    faulty.on("GET", SESSION, reply(200, {"sessionId": "s", "commands": same}))
    with pytest.raises(DaytonaInternalServerError, match=r"ran, but .* not run again"):
        process.execute_session_command("s", SessionExecuteRequest("make"))
    assert faulty.count("POST", SESSION + "/exec") == 1


@pytest.mark.parametrize(
    ("method", "path", "message", "error", "sentence"),
    [
        (
            "POST",
            SESSION + "/exec",
            "failed to execute command: not found: session not found",
            DaytonaNotFoundError,
            "session not found",
        ),
        (
            "POST",
            SESSION + "/exec",
            "failed to execute command: bad request: failed to write command: write |1: broken pipe",
            DaytonaSessionEndedError,
            "Delete the session and create it again",
        ),
        (
            "POST",
            COMMAND + "/input",
            "failed to open input pipe: no such device or address",
            DaytonaCommandAlreadyCompletedError,
            "has ended",
        ),
    ],
)
def test_untyped_errors_get_their_names(
    process: Any,
    faulty: FaultyServer,
    method: str,
    path: str,
    message: str,
    error: type[DaytonaError],
    sentence: str,
) -> None:
    faulty.on(method, path, reply(500, untyped(message)))
    actions = {
        SESSION + "/exec": lambda: process.execute_session_command("s", SessionExecuteRequest("ls")),
        COMMAND + "/input": lambda: process.send_session_command_input("s", "c", "text"),
    }
    with pytest.raises(error, match=sentence) as caught:
        actions[path]()
    assert caught.value.status_code == 500
    assert faulty.count(method, path) == 1


def test_empty_and_foreign_error_bodies(process: Any, faulty: FaultyServer) -> None:
    faulty.on("POST", SESSION + "/exec", reply(400))
    with pytest.raises(DaytonaBadRequestError, match="status 400 and no reason"):
        process.execute_session_command("s", SessionExecuteRequest("ls"))
    page = b"<html><body>nginx</body></html>"
    faulty.on("POST", "/process/execute", reply(502, page, content_type="text/html"))
    with pytest.raises(DaytonaBadGatewayError, match="status 502 and no reason"):
        process.exec("ls")
    faulty.on("POST", "/process/execute", reply(200, b"hello", content_type="text/plain"))
    with pytest.raises(DaytonaError, match="not JSON"):
        process.exec("ls")


def test_an_error_keeps_status_code_and_request_id(process: Any, faulty: FaultyServer) -> None:
    body = {"statusCode": 404, "message": "not found: session not found", "code": "NOT_FOUND"}
    faulty.on("GET", SESSION, reply(404, body, x_request_id="id-of-this-request"))
    with pytest.raises(DaytonaNotFoundError) as caught:
        process.get_session("s")
    error = caught.value
    assert (error.status_code, error.code, error.request_id) == (404, "NOT_FOUND", "id-of-this-request")
    assert error.message == str(error)


def test_code_run_on_a_toolbox_without_the_route(process: Any, faulty: FaultyServer) -> None:
    value = {"type": "line", "title": "t", "png": "aGk=", "elements": []}
    artifact = "dtn_artifact_k39fd2:" + json.dumps({"type": "chart", "value": value})
    faulty.on("POST", "/process/execute", reply(200, {"exitCode": 0, "result": f"a\n{artifact}\nb\n"}))
    params = CodeRunParams(argv=["one two"], env={"NAME": "value"})
    response = process.code_run("print(1)", params, 7)
    assert response.result == "a\nb\n"
    assert response.artifacts.charts[0].png_bytes == b"hi"
    body = faulty.requests[-1].json
    assert body["command"] == process.code_toolbox.get_run_command("print(1)", params)
    assert "'one two'" in body["command"]
    assert (body["timeout"], body["envs"]) == (7, {"NAME": "value"})


def test_code_run_does_not_fall_back_when_the_sandbox_is_not_found(
    process: Any, faulty: FaultyServer
) -> None:
    faulty.on("POST", "/process/code-run", reply(404, {"message": "not found: sandbox", "code": "NOT_FOUND"}))
    with pytest.raises(DaytonaNotFoundError):
        process.code_run("print(1)")
    assert faulty.count("POST", "/process/execute") == 0


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b"out\nerr\n", content_type="text/plain"),
        reply(200, f"{OUT}out\n{ERR}err\n".encode(), content_type="text/plain; charset=utf-8"),
        reply(200, {"output": f"{OUT}out\n{ERR}err\n", "stdout": "out\n", "stderr": "err\n"}),
        reply(200, {"output": "out\nerr\n", "stdout": "out\n", "stderr": "err\n"}),
    ],
    ids=["plain", "prefixed", "json-prefixed", "json-plain"],
)
def test_logs_of_every_kind_are_understood(process: Any, faulty: FaultyServer, answer: Any) -> None:
    faulty.on("GET", COMMAND + "/logs", answer)
    logs = process.get_session_command_logs("s", "c")
    assert logs == "out\nerr\n"
    assert logs.stdout in ("out\n", "out\nerr\n")
    assert logs.stderr == ("err\n" if logs.stdout == "out\n" else "")


@pytest.mark.parametrize(
    ("answer", "streams"),
    [
        ({"cmdId": "c", "output": "out\nerr\n", "stdout": None, "stderr": None, "exitCode": 0}, False),
        ({"cmdId": "c", "output": f"{OUT}out\n{ERR}err\n", "exitCode": 0}, True),
        (
            {
                "cmdId": "c",
                "output": f"{OUT}out\n{ERR}err\n",
                "stdout": "out\n",
                "stderr": "err\n",
                "exitCode": 0,
            },
            True,
        ),
    ],
    ids=["plain", "prefixed", "split"],
)
def test_output_of_every_kind_is_understood(
    process: Any, faulty: FaultyServer, answer: Any, streams: bool
) -> None:
    faulty.on("POST", SESSION + "/exec", reply(200, answer))
    response = process.execute_session_command("s", SessionExecuteRequest("x"))
    assert (response.output, response.exit_code) == ("out\nerr\n", 0)
    assert response.stderr == ("err\n" if streams else "")


@on_own
def test_a_dead_shell_is_reported_after_exit_in_a_real_session(sandbox: Any) -> None:
    # The embedded server records the exit code of `exit N`, which the real toolbox does not.
    process = sandbox.process
    process.create_session("s")
    response = process.execute_session_command("s", SessionExecuteRequest("exit 3"))
    assert response.exit_code == 3
    with pytest.raises(DaytonaError) as caught:
        process.execute_session_command("s", SessionExecuteRequest("true"))
    assert isinstance(caught.value, DaytonaSessionEndedError)
