"""The log of a session command: two streams in one run of bytes, told apart by markers.

The toolbox writes a three-byte marker before each piece of output: `01 01 01` before stdout,
`02 02 02` before stderr. What follows belongs to that stream until the next marker. Frames of a
followed log are cut anywhere, also inside a marker, so the demultiplexer holds back the one or
two bytes that may yet become one. Bytes before the first marker are stdout: that is what a log
without markers, as old toolboxes give it, means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Stream(Enum):
    """One of the two streams of a command; the value is its name in Jupyter's `stream` message."""

    STDOUT = "stdout"
    STDERR = "stderr"


MARKERS: dict[Stream, bytes] = {Stream.STDOUT: b"\x01\x01\x01", Stream.STDERR: b"\x02\x02\x02"}

_END = re.compile(r"exit (-?\d+), (\d+) bytes")


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of one stream, cut where the transport cut it: maybe inside a line or a character."""

    stream: Stream
    data: bytes


class LogDemultiplexer:
    """Bytes of a marked log in, chunks of its streams out.

    `feed` accepts pieces of any size; the chunks of all calls, joined stream by stream, do not
    depend on where the pieces were cut.
    """

    def __init__(self) -> None:
        self._stream, self._other = Stream
        self._marker, self._turn = MARKERS.values()
        self._held = b""

    def feed(self, data: bytes) -> list[LogChunk]:
        """Return the chunks that are certain after `data`; up to two bytes may be held back."""
        data = self._held + data
        cut = len(data) - _begun(data)
        chunks: list[LogChunk] = []
        position = 0
        while position < cut:
            # Up to the next marker of the other stream all is of this one; its own markers fall out.
            # One byte is found ten times as fast as three, and most output holds none of a marker's.
            maybe = data.find(self._turn[:1], position, cut)
            turn = data.find(self._turn, maybe, cut) if maybe >= 0 else -1
            end = cut if turn < 0 else turn
            piece = data[position:end]
            self._emit(chunks, piece.replace(self._marker, b"") if self._marker[:1] in piece else piece)
            position = end
            if turn >= 0:
                self._stream, self._other = self._other, self._stream
                self._marker, self._turn = self._turn, self._marker
                position += len(self._marker)
        self._held = data[cut:]
        return chunks

    def finish(self) -> list[LogChunk]:
        """Return what was held back: the log has ended, so it is output and no marker."""
        chunks: list[LogChunk] = []
        self._emit(chunks, self._held)
        self._held = b""
        return chunks

    def _emit(self, chunks: list[LogChunk], data: bytes) -> None:
        if data:
            chunks.append(LogChunk(self._stream, data))


def _begun(data: bytes) -> int:
    """How many bytes at the end may begin a marker: those that whole markers leave of the last run."""
    last = data[-1:]
    if last not in (b"\x01", b"\x02"):
        return 0
    return (len(data) - len(data.rstrip(last))) % 3


def encode_end(exit_code: int, size: int) -> str:
    """Return the close reason of a followed log: how its command ended, and the raw log's bytes.

    With it a follower that has them all need not ask again. Other servers give no reason.
    """
    return f"exit {exit_code}, {size} bytes"


def decode_end(reason: str) -> tuple[int, int] | None:
    """Return the exit code and the size that a close reason tells, or None when it tells nothing."""
    match = _END.fullmatch(reason)
    return (int(match[1]), int(match[2])) if match else None


def split_log(log: bytes) -> tuple[bytes, bytes]:
    """Return the stdout and the stderr of a whole marked log."""
    demultiplexer = LogDemultiplexer()
    parts: dict[Stream, list[bytes]] = {stream: [] for stream in Stream}
    for chunk in demultiplexer.feed(log) + demultiplexer.finish():
        parts[chunk.stream].append(chunk.data)
    return b"".join(parts[Stream.STDOUT]), b"".join(parts[Stream.STDERR])
