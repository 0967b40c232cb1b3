"""The log of a session command: two streams in one run of bytes, separated by markers.

The toolbox writes a three-byte marker before each piece of output: `01 01 01` before stdout, `02 02 02`
before stderr. The bytes up to the next marker belong to that stream. Frames of a followed log are cut
anywhere, also inside a marker, so the demultiplexer holds back one or two bytes that may start one. Bytes
before the first marker are stdout, since old toolboxes write logs without markers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Stream(Enum):
    """A stream of a command. The value is its name in Jupyter's `stream` message."""

    STDOUT = "stdout"
    STDERR = "stderr"


MARKERS: dict[Stream, bytes] = {Stream.STDOUT: b"\x01\x01\x01", Stream.STDERR: b"\x02\x02\x02"}

# In the answer to a follower's handshake: the close frame will have a reason that `decode_end` reads.
END_HEADER = "X-Daytona-Kernel-Log-End"

_END = re.compile(r"exit (-?[0-9]{1,10}), ([0-9]{1,19}) bytes")


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of one stream. It may start and end inside a line or a character."""

    stream: Stream
    data: bytes


class LogDemultiplexer:
    """Splits a marked log into chunks of its streams.

    `feed` accepts pieces of any size. The joined chunks of each stream do not depend on the cuts.
    """

    def __init__(self) -> None:
        self._stream, self._other = Stream
        self._marker, self._turn = MARKERS.values()
        self._held = b""

    def feed(self, data: bytes) -> list[LogChunk]:
        """Return the chunks that are certain after `data`. Up to two bytes are held back."""
        data = self._held + data
        cut = len(data) - _possible_marker(data)
        chunks: list[LogChunk] = []
        position = 0
        while position < cut:
            # All bytes up to the other stream's next marker are this stream's; drop its own markers.
            # Finding one byte is ten times as fast as finding three, and most output has no such byte.
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
        """Return the bytes that were held back. The log has ended, so they are output."""
        chunks: list[LogChunk] = []
        self._emit(chunks, self._held)
        self._held = b""
        return chunks

    def _emit(self, chunks: list[LogChunk], data: bytes) -> None:
        if data:
            chunks.append(LogChunk(self._stream, data))


def _possible_marker(data: bytes) -> int:
    """Return how many bytes at the end may start a marker: the rest of the last run after whole markers."""
    last = data[-1:]
    if last not in (b"\x01", b"\x02"):
        return 0
    return (len(data) - len(data.rstrip(last))) % 3


def encode_end(exit_code: int, size: int) -> str:
    """Return the close reason of a followed log: the command's exit code, and the size of the raw log.

    A follower that has all bytes then needs no other request. Other servers give no reason.
    """
    return f"exit {exit_code}, {size} bytes"


def decode_end(reason: str) -> tuple[int, int] | None:
    """Return the exit code and the size in a close reason, or None if it has none."""
    match = _END.fullmatch(reason)
    return (int(match[1]), int(match[2])) if match else None


def split_log(log: bytes) -> tuple[bytes, bytes]:
    """Return the stdout and the stderr of a whole marked log."""
    demultiplexer = LogDemultiplexer()
    parts: dict[Stream, list[bytes]] = {stream: [] for stream in Stream}
    for chunk in demultiplexer.feed(log) + demultiplexer.finish():
        parts[chunk.stream].append(chunk.data)
    return b"".join(parts[Stream.STDOUT]), b"".join(parts[Stream.STDERR])
