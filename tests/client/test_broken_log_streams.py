"""A follower delivers each byte of a log once from a stream that breaks, stalls, repeats or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel import DaytonaNotFoundError

from .faulty_server import hang_up, reply
from .served_log import COMMAND, LOG, OUT, collect, model

if TYPE_CHECKING:
    from .faulty_server import Exchange, FaultyServer
    from .served_log import Toolbox


@pytest.mark.parametrize("code", [1000, 1011])
def test_stream_that_closes_early(follow: Any, toolbox: Toolbox, code: int) -> None:
    def early(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, LOG[:2000])
        exchange.close_frame(code)

    toolbox.behaviors = [early]
    assert collect(follow()) == model(LOG)


def test_stream_that_breaks_while_the_command_runs(follow: Any, toolbox: Toolbox) -> None:
    def broken(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.visible += 777
        toolbox.send(exchange, toolbox.log[: toolbox.visible])
        toolbox.ended = toolbox.visible >= len(toolbox.log)

    toolbox.ended, toolbox.visible = False, 0
    toolbox.behaviors = [broken]
    assert collect(follow()) == model(LOG)
    assert toolbox.opened > 3


def test_stream_that_stalls(follow: Any, toolbox: Toolbox) -> None:
    def stalled(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, LOG[:1500])
        exchange.wait_for_close()

    toolbox.behaviors = [stalled]
    assert collect(follow()) == model(LOG)


def test_stream_that_stalls_while_the_command_runs(follow: Any, toolbox: Toolbox) -> None:
    def stalled(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, LOG[:1500])
        toolbox.visible = len(LOG)
        if toolbox.opened > 1:
            toolbox.ended = True
            exchange.close_frame()
        exchange.wait_for_close()

    toolbox.ended, toolbox.visible = False, 1500
    toolbox.behaviors = [stalled]
    assert collect(follow()) == model(LOG)


@pytest.mark.parametrize("size", [700, 64, 1024])
def test_stream_that_starts_over_in_its_middle(follow: Any, toolbox: Toolbox, size: int) -> None:
    def replaying(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, LOG[:2100], size)
        toolbox.send(exchange, LOG, size)
        exchange.close_frame()

    toolbox.behaviors = [replaying]
    assert collect(follow()) == model(LOG)


def test_log_that_repeats_itself_is_not_taken_for_a_replay(
    follow: Any, faulty: FaultyServer, toolbox: Toolbox
) -> None:
    line = OUT + b"tick\n"

    def ticking(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, toolbox.log, len(line))
        exchange.close_frame()

    toolbox.log = line * 500
    toolbox.visible = len(toolbox.log)
    toolbox.behaviors = [ticking]
    follower = follow()
    assert b"".join(chunk.data for chunk in follower) == b"tick\n" * 500
    assert faulty.count("GET", COMMAND + "/logs") < 10


@pytest.mark.parametrize("status", [404, 400, 502])
def test_stream_that_cannot_be_opened(follow: Any, toolbox: Toolbox, status: int) -> None:
    toolbox.behaviors = [reply(status, b"no", content_type="text/plain")]
    assert collect(follow()) == model(LOG)


def test_connection_that_closes_in_the_handshake(follow: Any, toolbox: Toolbox) -> None:
    toolbox.behaviors = [hang_up]
    assert collect(follow()) == model(LOG)


def test_answers_that_fail_for_a_while(follow: Any, toolbox: Toolbox, faulty: FaultyServer) -> None:
    def whole(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, LOG[:100])
        exchange.close_frame()

    def half_a_body(exchange: Exchange) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(LOG)}\r\n\r\n"
        exchange.connection.sendall(head.encode() + LOG[: len(LOG) // 2])

    def logs(exchange: Exchange) -> None:
        if "upgrade" in exchange.request.headers:
            whole(exchange)
        else:
            failures.pop(0)(exchange) if failures else toolbox._logs(exchange)

    failures = [half_a_body, reply(502), half_a_body, hang_up]
    faulty.on("GET", COMMAND + "/logs", logs)
    assert collect(follow()) == model(LOG)
    assert not failures


def test_json_answers_are_understood(follow: Any, toolbox: Toolbox, faulty: FaultyServer) -> None:
    def logs(exchange: Exchange) -> None:
        if "upgrade" in exchange.request.headers:
            exchange.reply(404)
        else:
            exchange.reply(200, {"output": LOG.decode(), "stdout": "", "stderr": ""})

    faulty.on("GET", COMMAND + "/logs", logs)
    assert collect(follow()) == model(LOG)


def test_deleting_the_command_raises(follow: Any, toolbox: Toolbox, faulty: FaultyServer) -> None:
    def gone(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, LOG[:1024])
        faulty.on("GET", COMMAND + ".*", reply(404, {"message": "not found: session not found"}))
        exchange.close_frame()

    toolbox.ended = False
    toolbox.behaviors = [gone]
    chunks = iter(follow())
    assert next(chunks).data
    with pytest.raises(DaytonaNotFoundError):
        list(chunks)
