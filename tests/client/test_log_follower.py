"""A follower delivers each byte of a log once, even if its stream misbehaves."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daytona_kernel import DaytonaAuthenticationError, DaytonaNotFoundError, SessionExecuteRequest, Stream
from daytona_kernel.wire.logs import MARKERS, encode_end, split_log
from tests.conftest import both_profiles

from .faulty_server import Exchange, FaultyServer, hang_up, reply

COMMAND = "/process/session/s/command/c"
OUT, ERR = MARKERS[Stream.STDOUT], MARKERS[Stream.STDERR]

LOG = b"".join(
    (ERR if number % 3 == 0 else OUT) + f"line {number} naïve 🎈\n".encode() for number in range(300)
)


class Toolbox:
    """A command with a log. Its stream follows one of `behaviors` each time it is opened."""

    def __init__(self, faulty: FaultyServer, log: bytes = LOG) -> None:
        self.log = log
        self.visible = len(log)  # how much of it has been written
        self.ended = True
        faulty.on("GET", COMMAND, self._command)
        faulty.on("GET", COMMAND + "/logs", self._logs)
        self.behaviors: list[Any] = []
        self.opened = 0

    def _command(self, exchange: Exchange) -> None:
        body: dict[str, Any] = {"id": "c", "command": "x"}
        exchange.reply(200, body | ({"exitCode": 7} if self.ended else {}))

    def _logs(self, exchange: Exchange) -> None:
        if "upgrade" not in exchange.request.headers:
            exchange.reply(200, self.log[: self.visible], content_type="text/plain")
            return
        assert exchange.request.query == {"follow": "true"}
        self.opened += 1
        behavior = self.behaviors.pop(0) if len(self.behaviors) > 1 else self.behaviors[0]
        behavior(exchange)

    def send(self, exchange: Exchange, data: bytes, size: int = 1024) -> None:
        for start in range(0, len(data), size):
            exchange.frame(data[start : start + size])


@pytest.fixture
def toolbox(faulty: FaultyServer) -> Toolbox:
    return Toolbox(faulty)


def collect(follower: Any) -> bytes:
    """Return the log that a follower delivers, with a marker at each change of the stream."""
    chunks = list(follower)
    assert follower.exit_code == 7
    return remarked([(chunk.stream, chunk.data) for chunk in chunks])


def remarked(pieces: list[tuple[Stream, bytes]]) -> bytes:
    joined, last = b"", None
    for stream, data in pieces:
        joined += (MARKERS[stream] if stream is not last else b"") + data
        last = stream
    return joined


def model(log: bytes) -> bytes:
    pieces: list[tuple[Stream, bytes]] = []
    for line in log.splitlines(keepends=True):
        stdout, stderr = split_log(line)
        pieces.append((Stream.STDOUT, stdout) if stdout else (Stream.STDERR, stderr))
    return remarked(pieces)


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


@pytest.mark.parametrize("code", [1000, 1011])
def test_stream_that_closes_early(follow: Any, toolbox: Toolbox, code: int) -> None:
    def early(exchange: Exchange) -> None:
        exchange.accept_websocket()
        toolbox.send(exchange, LOG[:2000])
        exchange.close_frame(code)

    toolbox.behaviors = [early]
    assert collect(follow()) == model(LOG)


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


@pytest.fixture
def session(sandbox: Any) -> Any:
    """The processes of a sandbox with the session `s`."""
    sandbox.process.create_session("s")
    return sandbox.process


def run(process: Any, command: str) -> Any:
    response = process.execute_session_command("s", SessionExecuteRequest(command, run_async=True))
    return process.follow_session_command_logs("s", response.cmd_id)


def test_every_byte_of_a_real_log(session: Any) -> None:
    follower = run(session, r"printf 'a\rb\0c\xff\n'; printf 'e\n' >&2; printf 'no newline'; exit 4")
    streams = dict.fromkeys(Stream, b"")
    for chunk in follower:
        streams[chunk.stream] += chunk.data
    assert streams == {Stream.STDOUT: b"a\rb\0c\xff\nno newline", Stream.STDERR: b"e\n"}
    assert follower.exit_code == 4


def test_chunks_come_while_the_command_runs(session: Any) -> None:
    follower = run(session, "echo first; read go; echo second")
    chunks = iter(follower)
    assert next(chunks).data == b"first\n"
    command_id = session.get_session("s").commands[-1].id
    session.send_session_command_input("s", command_id, "go")
    assert b"".join(chunk.data for chunk in chunks).endswith(b"second\n")


def test_a_range_of_a_real_log_is_served(session: Any) -> None:
    import httpx

    follower = run(session, "echo one; echo two >&2")
    list(follower)
    command_id = session.get_session("s").commands[-1].id
    api = session.toolbox_api
    url = f"{api.url}/process/session/s/command/{command_id}/logs"
    headers = {**api.headers_for(url), "X-Daytona-Split-Output": "true"}
    whole = httpx.get(url, headers=headers, trust_env=False).content
    assert split_log(whole) == (b"one\n", b"two\n")
    for start in range(1, len(whole)):
        rest = httpx.get(url, headers={**headers, "Range": f"bytes={start}-"}, trust_env=False)
        assert (rest.status_code, rest.content) == (206, whole[start:])
    end = httpx.get(url, headers={**headers, "Range": f"bytes={len(whole)}-"}, trust_env=False)
    assert (end.status_code, end.content) == (416, b"")


@both_profiles
@pytest.mark.parametrize("silence", ["", "sleep 0.7; "])
def test_a_follower_ends_soon_after_its_command(session: Any, silence: str) -> None:
    follower = run(session, f"echo first; {silence}echo $EPOCHREALTIME; {silence}(exit 3)")
    *_, last = follower
    waited = time.time() - float(last.data.split()[-1]) - (0.7 if silence else 0.0)
    assert waited < 0.6, "Daytona closes the stream a second late"
    assert follower.exit_code == 3


@both_profiles
def test_a_large_real_log(session: Any) -> None:
    follower = run(session, "seq 1 300000")
    assert b"".join(chunk.data for chunk in follower) == b"".join(b"%d\n" % n for n in range(1, 300_001))


def test_deleting_the_session_ends_the_log(session: Any) -> None:
    follower = run(session, "echo first; sleep 60")
    chunks = iter(follower)
    next(chunks)
    session.delete_session("s")
    assert list(chunks) == []
    assert follower.exit_code == 143


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
