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

_BY_MARKER = {marker: stream for stream, marker in MARKERS.items()}
_MARKER = re.compile(b"|".join(MARKERS.values()))
_MARKER_BEGUN = re.compile(rb"(?:\x01{1,2}|\x02{1,2})\Z")


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
        self._stream = Stream.STDOUT
        self._held = b""

    def feed(self, data: bytes) -> list[LogChunk]:
        """Return the chunks that are certain after `data`; up to two bytes may be held back."""
        data = self._held + data
        begun = _MARKER_BEGUN.search(data)
        # `01 01 01` at the very end is a whole marker, and `01 01 01 01` one and a byte held back.
        chunks: list[LogChunk] = []
        position = 0
        for marker in _MARKER.finditer(data):
            self._emit(chunks, data[position : marker.start()])
            self._stream = _BY_MARKER[marker.group()]
            position = marker.end()
        cut = max(begun.start(), position) if begun else len(data)
        self._emit(chunks, data[position:cut])
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


def split_log(log: bytes) -> tuple[bytes, bytes]:
    """Return the stdout and the stderr of a whole marked log."""
    demultiplexer = LogDemultiplexer()
    parts: dict[Stream, list[bytes]] = {stream: [] for stream in Stream}
    for chunk in demultiplexer.feed(log) + demultiplexer.finish():
        parts[chunk.stream].append(chunk.data)
    return b"".join(parts[Stream.STDOUT]), b"".join(parts[Stream.STDERR])
