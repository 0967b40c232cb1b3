"""Which operations are repeated and when, and which never are."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest

from daytona_kernel import (
    DaytonaConnectionError,
    DaytonaConnectionTimeoutError,
    DaytonaError,
    DaytonaRateLimitError,
    DaytonaServiceUnavailableError,
    SessionExecuteRequest,
)
from daytona_kernel.client.operations import table
from daytona_kernel.client.operations.table import Operation, Repeat
from daytona_kernel.client.retries import ATTEMPTS, pause_before

from .faulty_server import Exchange, FaultyServer, hang_up, reply

OPERATIONS = {name: value for name, value in vars(table).items() if isinstance(value, Operation)}
OK = reply(200, {"exitCode": 0, "result": "ok", "sessionId": "s", "commands": []})


def test_operations_that_run_make_or_move_something_are_not_repeated() -> None:
    unsent = {name for name, operation in OPERATIONS.items() if operation.repeat is Repeat.UNSENT}
    assert unsent == {
        "CREATE_SANDBOX",
        "START_SANDBOX",
        "STOP_SANDBOX",
        "PAUSE_SANDBOX",
        "EXECUTE",
        "CODE_RUN",
        "CREATE_SESSION",
        "SESSION_EXECUTE",
        "SEND_INPUT",
        "MOVE_FILE",
    }


@pytest.mark.parametrize("failure", [hang_up, reply(502), reply(503), reply(504), reply(429)])
def test_reading_is_repeated(
    process: Any, faulty: FaultyServer, no_pauses: list[float], failure: Any
) -> None:
    faulty.on("GET", "/process/session/s", failure, failure, OK)
    assert process.get_session("s").session_id == "s"
    assert faulty.count("GET", "/process/session/s") == 3
    assert 0.1 < no_pauses[0] < no_pauses[1] < 1


@pytest.mark.parametrize("failure", [hang_up, reply(502), reply(503), reply(504), reply(500)])
def test_a_command_is_never_repeated(process: Any, faulty: FaultyServer, failure: Any) -> None:
    faulty.on("POST", ".*", failure)
    with pytest.raises(DaytonaError):
        process.exec("rm -r x")
    with pytest.raises(DaytonaError):
        process.code_run("x")
    with pytest.raises(DaytonaError):
        process.execute_session_command("s", SessionExecuteRequest("rm -r x"))
    with pytest.raises(DaytonaError):
        process.send_session_command_input("s", "c", "yes")
    with pytest.raises(DaytonaError):
        process.create_session("s")
    assert len(faulty.requests) == 5


def test_a_command_is_not_repeated_after_an_incomplete_answer(process: Any, faulty: FaultyServer) -> None:
    def half(exchange: Exchange) -> None:
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    faulty.on("POST", "/process/execute", half)
    with pytest.raises(DaytonaConnectionError, match="broke before the answer was complete"):
        process.exec("true")
    assert len(faulty.requests) == 1


def test_a_command_is_repeated_where_it_certainly_did_not_run(
    process: Any, faulty: FaultyServer, no_pauses: list[float]
) -> None:
    faulty.on("POST", "/process/execute", reply(429), OK)
    assert process.exec("true").result == "ok"


def test_a_server_that_is_not_there_is_tried_again_and_named(
    process: Any, faulty: FaultyServer, no_pauses: list[float]
) -> None:
    faulty.close()
    with pytest.raises(
        DaytonaConnectionError, match=r"No server answers at http://127.0.0.1:\d+ .*Check"
    ) as caught:
        process.exec("true")
    assert caught.value.__cause__ is not None
    assert len(no_pauses) == ATTEMPTS - 1


def test_it_gives_up_with_the_last_error(process: Any, faulty: FaultyServer, no_pauses: list[float]) -> None:
    faulty.on("GET", "/process/session", reply(503, {"message": "maintenance"}))
    with pytest.raises(DaytonaServiceUnavailableError, match="maintenance"):
        process.list_sessions()
    assert len(faulty.requests) == ATTEMPTS


def test_retry_after_is_obeyed(process: Any, faulty: FaultyServer, no_pauses: list[float]) -> None:
    date = formatdate(time.time() + 30, usegmt=True)
    faulty.on(
        "GET", "/process/session", reply(429, retry_after="7"), reply(503, retry_after=date), reply(200, [])
    )
    assert process.list_sessions() == []
    assert no_pauses[0] == 7
    assert 25 < no_pauses[1] <= 30


def test_a_retry_after_that_is_too_long_is_an_error(
    process: Any, faulty: FaultyServer, no_pauses: list[float]
) -> None:
    faulty.on("GET", "/process/session", reply(429, retry_after="3600"))
    with pytest.raises(DaytonaRateLimitError):
        process.list_sessions()
    assert no_pauses == []


def test_a_delete_whose_answer_was_lost_has_deleted(
    process: Any, faulty: FaultyServer, no_pauses: list[float]
) -> None:
    faulty.on(
        "DELETE", "/process/session/s", hang_up, reply(404, {"message": "not found: session not found"})
    )
    process.delete_session("s")
    assert faulty.count("DELETE", "/process/session/s") == 2


def test_a_request_that_used_its_whole_timeout_is_not_repeated(process: Any, faulty: FaultyServer) -> None:
    faulty.on("POST", "/process/execute", lambda exchange: exchange.wait_for_close())
    began = time.monotonic()
    with pytest.raises(DaytonaConnectionTimeoutError, match="within the request timeout"):
        process.exec("sleep 100", request_timeout=0.2)
    assert time.monotonic() - began < 5
    assert len(faulty.requests) == 1


def test_pauses_grow_and_are_bounded() -> None:
    pauses = [pause_before(attempt) or 0 for attempt in range(1, 12)]
    assert 0.15 <= pauses[0] <= 0.25
    assert max(pauses) <= 10
    assert pause_before(1, "nonsense") is not None
    assert pause_before(1, "0") == 0
