"""A follower delivers each byte of a log once. test_broken_log_streams has the streams that misbehave."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daytona_kernel import DaytonaAuthenticationError, DaytonaNotFoundError, Stream
from daytona_kernel.wire.logs import encode_end, split_log

from .faulty_server import Exchange, FaultyServer, reply
from .served_log import COMMAND, LOG, OUT, Toolbox, collect, model


def test_close_frame_ends_the_log(follow: Any, toolbox: Toolbox) -> None:
    closed = threading.Event()

    def whole(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, LOG)
        exchange.close_frame(1000, encode_end(7, len(LOG)))
        exchange.wait_for_close()
        closed.set()

    toolbox.behaviors = [whole]
    assert collect(follow()) == model(LOG)
    assert closed.wait(10)


def test_messages_in_fragments_and_pings_between_them(follow: Any, toolbox: Toolbox) -> None:
    def fragmented(exchange: Exchange) -> None:
        exchange.accept_websocket()
        exchange.frame(LOG[:100], last=False)
        exchange.ping()
        exchange.frame(LOG[100:1000], first=False, last=False)
        exchange.frame(b"", first=False)
        toolbox.send(exchange, LOG[1000:])
        exchange.close_frame(1000, encode_end(7, len(LOG)))

    toolbox.behaviors = [fragmented]
    assert collect(follow()) == model(LOG)


@pytest.mark.parametrize("size", [1, 2, 130, 1 << 20])
def test_bytes_may_be_cut_anywhere_even_in_the_handshake(follow: Any, toolbox: Toolbox, size: int) -> None:
    def cut(exchange: Exchange) -> None:
        connection, sent = exchange.connection, bytearray()
        exchange.connection = cast("socket.socket", SimpleNamespace(sendall=sent.extend))
        exchange.accept_websocket()
        exchange.frame(LOG[:300])
        exchange.ping()
        exchange.frame(LOG[300:])
        exchange.close_frame(1000, encode_end(7, len(LOG)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), size):
            connection.sendall(sent[start : start + size])

    toolbox.behaviors = [cut]
    assert collect(follow()) == model(LOG)


def test_slow_reader_makes_the_server_wait(follow: Any, toolbox: Toolbox, faulty: FaultyServer) -> None:
    waited = threading.Event()

    def flood(exchange: Exchange) -> None:
        exchange.accept_websocket()
        for start in range(0, len(toolbox.log), 60_000):
            if not select.select([], [exchange.connection], [], 0.3)[1]:
                waited.set()
            exchange.frame(toolbox.log[start : start + 60_000])
        exchange.close_frame(1000, encode_end(7, len(toolbox.log)))

    toolbox.log = OUT + b"x" * 39_999_996 + b"\n"
    toolbox.visible = len(toolbox.log)
    toolbox.behaviors = [flood]
    chunks = iter(follow())
    size = len(next(chunks).data)
    assert waited.wait(30), "the reader holds the whole log in memory"
    assert size + sum(len(chunk.data) for chunk in chunks) == len(toolbox.log) - len(OUT)
    assert faulty.count("GET", COMMAND + "/logs") == 1


def test_slow_reader_may_stop_following_a_flood(follow: Any, toolbox: Toolbox) -> None:
    closed = threading.Event()

    def flood(exchange: Exchange) -> None:
        exchange.accept_websocket()
        with contextlib.suppress(OSError):
            while True:
                exchange.frame(b"x" * 60_000)
        closed.set()

    toolbox.ended = False
    toolbox.behaviors = [flood]
    follower = follow()
    next(iter(follower))
    follower.close()
    assert closed.wait(10)


@pytest.mark.parametrize("size", [1, 3, 5, 1024, 100_000])
def test_frames_may_be_cut_anywhere(follow: Any, toolbox: Toolbox, size: int) -> None:
    def whole(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, toolbox.log, size)
        exchange.close_frame()

    toolbox.log = LOG[:3000] if size < 10 else LOG
    toolbox.log = toolbox.log[: toolbox.log.rindex(b"\n") + 1]
    toolbox.visible = len(toolbox.log)
    toolbox.behaviors = [whole]
    assert collect(follow()) == model(toolbox.log)


@pytest.mark.parametrize("size", [len(LOG), 2000, 0])
def test_a_close_reason_with_the_end_counts_if_the_log_is_complete(
    follow: Any, toolbox: Toolbox, faulty: FaultyServer, size: int
) -> None:
    def ending(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, LOG[:size])
        exchange.close_frame(1000, encode_end(7, len(LOG)))

    toolbox.behaviors = [ending]
    assert collect(follow()) == model(LOG)
    assert faulty.count("GET", COMMAND) == (0 if size == len(LOG) else 1)


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 700, 1024, len(LOG) - 1, len(LOG), len(LOG) + 10])
def test_offset_continues_where_another_follower_stopped(follow: Any, toolbox: Toolbox, offset: int) -> None:
    def whole(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, LOG)
        exchange.close_frame()

    toolbox.behaviors = [whole]
    follower = follow(offset=offset)
    taken = dict.fromkeys(Stream, b"")
    for chunk in follower:
        taken[chunk.stream] += chunk.data
    before, whole_log = split_log(LOG[:offset]), split_log(LOG)
    for stream, first, both in zip(Stream, before, whole_log, strict=True):
        # A marker that the offset cuts belongs to neither side.
        assert both.endswith(taken[stream])
        assert first.rstrip(b"\x01\x02") + taken[stream] == both
    assert follower.offset == max(offset, len(LOG))


def test_unknown_command_and_refused_key_raise_at_once(follow: Any, faulty: FaultyServer) -> None:
    with pytest.raises(DaytonaNotFoundError):
        list(follow("s", "unknown"))
    faulty.on("GET", COMMAND, reply(401, {"message": "Unauthorized"}))
    with pytest.raises(DaytonaAuthenticationError):
        list(follow())


def test_stopping_early_closes_the_stream(follow: Any, toolbox: Toolbox) -> None:
    closed: list[bool] = []

    def endless(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, LOG[:1024])
        exchange.wait_for_close()
        closed.append(True)

    toolbox.ended = False
    toolbox.behaviors = [endless]
    follower = follow()
    assert next(iter(follower)).data
    follower.close()
    wait_until(lambda: bool(closed))


def wait_until(condition: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
