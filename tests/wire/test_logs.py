"""The log demultiplexer, fed every way, beside a plain model of what the markers mean."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.wire.logs import (
    MARKERS,
    LogChunk,
    LogDemultiplexer,
    Stream,
    decode_end,
    encode_end,
    split_log,
)

OUT, ERR = MARKERS[Stream.STDOUT], MARKERS[Stream.STDERR]

# Logs in which markers, halves of markers and text meet in every order.
logs = st.lists(
    st.sampled_from([OUT, ERR, b"\x01", b"\x02", b"\x01\x01", b"\x02\x02", b"a", b"line\n", b"\x00", b"\xff"])
).map(b"".join)


def model(log: bytes) -> dict[Stream, bytes]:
    """What the docstring of `wire.logs` says, one byte at a time and with no thought of speed."""
    streams = {Stream.STDOUT: b"", Stream.STDERR: b""}
    current = Stream.STDOUT
    position = 0
    while position < len(log):
        for stream, marker in MARKERS.items():
            if log.startswith(marker, position):
                current = stream
                position += len(marker)
                break
        else:
            streams[current] += log[position : position + 1]
            position += 1
    return streams


def joined(chunks: list[LogChunk]) -> dict[Stream, bytes]:
    return {stream: b"".join(chunk.data for chunk in chunks if chunk.stream is stream) for stream in Stream}


def demultiplexed(pieces: list[bytes]) -> list[LogChunk]:
    demultiplexer = LogDemultiplexer()
    chunks = [chunk for piece in pieces for chunk in demultiplexer.feed(piece)]
    return chunks + demultiplexer.finish()


@given(logs)
def test_whole_log_is_split_as_the_model_says(log: bytes) -> None:
    assert joined(demultiplexed([log])) == model(log)
    assert dict(zip(Stream, split_log(log), strict=True)) == model(log)


@given(logs)
def test_one_byte_at_a_time_gives_the_same(log: bytes) -> None:
    assert joined(demultiplexed([log[i : i + 1] for i in range(len(log))])) == model(log)


@given(logs, st.lists(st.integers(0, 200)))
def test_cuts_anywhere_give_the_same(log: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(log)) for cut in cuts), len(log)]
    pieces = [log[start:end] for start, end in pairwise(places)]
    assert joined(demultiplexed(pieces)) == model(log)


@given(logs)
def test_order_between_the_streams_is_that_of_the_log(log: bytes) -> None:
    whole = b"".join(chunk.data for chunk in demultiplexed([log]))
    single = b"".join(chunk.data for chunk in demultiplexed([log[i : i + 1] for i in range(len(log))]))
    assert whole == single


@given(logs)
def test_no_chunk_is_empty_and_none_waits_for_more_than_a_marker(log: bytes) -> None:
    demultiplexer = LogDemultiplexer()
    chunks = demultiplexer.feed(log)
    held = demultiplexer.finish()
    assert all(chunk.data for chunk in chunks + held)
    assert sum(len(chunk.data) for chunk in held) <= 2


@pytest.mark.parametrize(
    ("log", "stdout", "stderr"),
    [
        (b"", b"", b""),
        (b"no marker\n", b"no marker\n", b""),
        (OUT + b"a\n" + ERR + b"b\n" + OUT + b"c\n", b"a\nc\n", b"b\n"),
        (ERR + b"partial", b"", b"partial"),
        (OUT + b"\x01\x01", b"\x01\x01", b""),
        (OUT + b"\x01", b"\x01", b""),
        (OUT * 3, b"", b""),
        (b"before" + ERR + b"after", b"before", b"after"),
        (OUT + "é".encode()[:1], b"\xc3", b""),
    ],
)
def test_known_logs(log: bytes, stdout: bytes, stderr: bytes) -> None:
    assert split_log(log) == (stdout, stderr)


def test_a_character_cut_by_frames_is_put_together_by_the_reader_of_the_stream() -> None:
    log = OUT + "naïve\n".encode()
    for cut in range(len(log)):
        assert b"".join(chunk.data for chunk in demultiplexed([log[:cut], log[cut:]])).decode() == "naïve\n"


@given(st.integers(-1, 255), st.integers(0, 10**15))
def test_the_end_of_a_followed_log_is_told_in_its_close(exit_code: int, size: int) -> None:
    assert decode_end(encode_end(exit_code, size)) == (exit_code, size)


@pytest.mark.parametrize("reason", ["", "exit", "exit 0, x bytes", "going away", "exit 0, 1 bytes more"])
def test_a_close_that_tells_no_end(reason: str) -> None:
    assert decode_end(reason) is None


def test_a_run_of_lines_of_one_stream_is_one_chunk() -> None:
    demultiplexer = LogDemultiplexer()
    lines = b"".join(OUT + b"line %d\n" % number for number in range(1000))
    assert len(demultiplexer.feed(lines)) == 1
