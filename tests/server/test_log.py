"""The marked log gives back every byte, whatever the bytes and wherever the pieces are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.server import limits
from daytona_kernel.server.toolbox import log as log_module
from daytona_kernel.server.toolbox.log import CommandLog
from daytona_kernel.server.toolbox.log_encoding import LabeledLog, MarkedLog
from daytona_kernel.wire.logs import MARKERS, Stream, split_log
from tests.full_disk import full_beyond

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

CHUNKS = st.lists(
    st.tuples(
        st.sampled_from(list(Stream)),
        st.one_of(st.binary(max_size=8), st.text("\x01\x02a\n", max_size=8).map(str.encode)),
    ),
    max_size=12,
)


@given(CHUNKS)
def test_every_byte_comes_back_in_its_stream(chunks: list[tuple[Stream, bytes]]) -> None:
    log = MarkedLog()
    marked = b"".join(log.encode(stream, data) for stream, data in chunks)
    streams = {stream: b"".join(data for to, data in chunks if to is stream) for stream in Stream}
    assert split_log(marked) == (streams[Stream.STDOUT], streams[Stream.STDERR])


@pytest.mark.parametrize(
    ("chunks", "marked"),
    [
        ([(Stream.STDOUT, b"a\nb\n")], b"\x01\x01\x01a\n\x01\x01\x01b\n"),
        ([(Stream.STDOUT, b"par"), (Stream.STDOUT, b"tial\n")], b"\x01\x01\x01partial\n"),
        ([(Stream.STDOUT, b"a"), (Stream.STDERR, b"b")], b"\x01\x01\x01a\x02\x02\x02b"),
        ([(Stream.STDERR, b"\n\n")], b"\x02\x02\x02\n\x02\x02\x02\n"),
        ([(Stream.STDOUT, b"")], b""),
    ],
)
def test_markers_are_where_the_toolbox_puts_them(chunks: list[tuple[Stream, bytes]], marked: bytes) -> None:
    log = MarkedLog()
    assert b"".join(log.encode(stream, data) for stream, data in chunks) == marked


async def test_a_full_log_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOG_BYTES", 1 << 20)
    log = CommandLog(tmp_path / "log")
    for _ in range(40):
        log.write(Stream.STDOUT, b"x" * (1 << 16))
    log.close()
    stdout, stderr = split_log(log.read())
    assert log.size == len(log.read()) < (1 << 20) + 200
    assert set(stdout) == {ord("x")}
    assert len(stdout) > (1 << 20) - 100
    assert b"log full: 1 MiB kept" in stderr


async def test_a_log_on_a_full_disk_continues_in_memory(tmp_path: Path) -> None:
    log = CommandLog(tmp_path / "log")
    with full_beyond(10):
        log.write(Stream.STDOUT, b"one\ntwo")
        log.write(Stream.STDOUT, b" three\n")
    log.write(Stream.STDERR, b"four\n")
    log.finish()
    whole = log.read()
    assert split_log(whole) == (b"one\ntwo three\n", b"four\n")
    assert b"".join([piece async for piece in log.pieces(4, follow=True)]) == whole
    log.close()
    assert log_module._RESERVE.used > 0
    log.forget()
    assert log_module._RESERVE.used == 0


async def test_a_log_on_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOG_RESERVE_BYTES", 0)
    log = CommandLog(tmp_path / "log")
    with full_beyond(1000):
        log.write(Stream.STDOUT, b"x" * 600)
        log.write(Stream.STDOUT, b"x" * 600)
        log.write(Stream.STDOUT, b"dropped")
    log.finish()
    whole = log.read()
    assert whole.count(b"x") > 900
    assert whole.endswith(
        b"\n[the log cannot be written: File too large, the rest of the output was dropped]\n"
    )
    assert b"".join([piece async for piece in log.pieces(100, follow=True)]) == whole
    assert b"".join([piece async for piece in log.pieces(100, follow=False, start=1005)]) == whole[1005:]
    log.close()


async def test_followers_of_one_log_read_at_their_own_pace(tmp_path: Path) -> None:
    log = CommandLog(tmp_path / "log")
    early = log.pieces(4, follow=True)
    log.write(Stream.STDOUT, b"hello")
    assert await anext(early) == b"\x01\x01\x01h"
    log.write(Stream.STDOUT, b" world")
    log.finish()
    late = b"".join([piece async for piece in log.pieces(1000, follow=True)])
    assert late == b"\x01\x01\x01hello world"
    assert b"\x01\x01\x01h" + b"".join([piece async for piece in early]) == late
    log.close()


@given(CHUNKS)
def test_a_labeled_log_has_each_stream_in_whole_lines(chunks: list[tuple[Stream, bytes]]) -> None:
    log = LabeledLog()
    pieces = [log.encode(stream, data) for stream, data in chunks]
    pieces += [log.end(stream) for stream in Stream]
    markers = tuple(MARKERS.values())
    lines = b"".join(pieces).split(b"\n")
    assert lines.pop() == b""
    assert all(line.startswith(markers) for line in lines)
    for stream in Stream:
        written = b"".join(data for to, data in chunks if to is stream).replace(b"\0", b"")
        expected = written + b"\n" if written and not written.endswith(b"\n") else written
        marker = MARKERS[stream]
        assert b"".join(line[3:] + b"\n" for line in lines if line.startswith(marker)) == expected
