"""The log of a session command: written as output comes, read by any number of followers.

The log is a file in the toolbox's format: a marker before each line, and wherever the stream
changes. A marker might also come about by chance, inside the output or where two pieces meet;
`MarkedLog` breaks such a run by switching streams for no bytes, so that whoever takes the log
apart gets every byte back, in its own stream.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, BinaryIO

from ...wire.logs import MARKERS, Stream
from .. import limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_OTHER = {Stream.STDOUT: Stream.STDERR, Stream.STDERR: Stream.STDOUT}
# What breaks a run of a marker's bytes in a stream: the own marker where the run is of the other's.
_BREAKS = {
    stream: {
        MARKERS[stream][:1]: MARKERS[_OTHER[stream]] + MARKERS[stream],
        MARKERS[_OTHER[stream]][:1]: MARKERS[stream],
    }
    for stream in Stream
}
_RUN = re.compile(rb"\x01\x01|\x02\x02")


class MarkedLog:
    """Chunks of two streams in, bytes of a marked log out. No I/O."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._last = b"\n"

    def encode(self, stream: Stream, data: bytes) -> bytes:
        """Return the bytes that `data` of `stream` adds to the log."""
        if not data:
            return b""
        marker = MARKERS[stream]
        breaks = _BREAKS[stream]
        head = b""
        if stream is not self._stream or self._last == b"\n":
            if self._stream is not None and self._last == marker[:1]:
                head = MARKERS[self._stream]  # or that byte would begin the marker
            head += marker
        elif self._last == data[:1] and data[:1] in breaks:
            head = breaks[data[:1]]
        last = data[-1:]
        # One byte is found many times as fast as two, and most output holds none of a marker's.
        if b"\x01" in data or b"\x02" in data:
            data = _RUN.sub(lambda run: run[0] + breaks[run[0][:1]], data)
        if b"\n" in data:
            data = data.replace(b"\n", b"\n" + marker)
            if last == b"\n":
                data = data[: -len(marker)]  # the next line is marked when it comes
        self._stream = stream
        self._last = last
        return head + data


class CommandLog:
    """One command's log file, from its first byte until the command has finished.

    A background child may print after that: it is still written, but followers have been let go.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._marked = MarkedLog()
        self._waiting: set[asyncio.Future[None]] = set()
        self.size = 0  # bytes written
        self.finished = False
        self._full = False

    def write(self, stream: Stream, data: bytes) -> None:
        """Add output; past the limit a mark is written once, and the rest is dropped."""
        if self._file is None or self._full:
            return
        encoded = self._marked.encode(stream, data)
        if self.size + len(encoded) > limits.LOG_BYTES:
            self._full = True
            room = max(0, limits.LOG_BYTES - self.size)
            mark = f"\n[log full: {limits.LOG_BYTES >> 20} MiB kept, the rest of the output is dropped]\n"
            encoded = encoded[:room] + MARKERS[Stream.STDERR] + mark.encode()
        view = memoryview(encoded)
        while view:
            written = os.write(self._file, view)
            view = view[written:]
            self.size += written
        self._wake()

    def finish(self) -> None:
        """The command has ended and all that it printed is written: followers end."""
        self.finished = True
        self._wake()

    def close(self) -> None:
        """No more will be written: the streams have ended, or the session has."""
        self.finished = True
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._wake()

    def read(self) -> bytes:
        """Return the whole log as it is now."""
        with open(self._path, "rb") as file:
            return file.read(self.size)

    async def pieces(self, size: int, *, follow: bool, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the log in pieces of at most `size` bytes; with `follow` until the command has finished.

        start: the position of the first byte to yield.
        """
        position = start
        with self._open() as file:
            file.seek(start)
            while True:
                if position < self.size:
                    piece = file.read(min(size, self.size - position))
                    position += len(piece)
                    yield piece
                elif self.finished or not follow:
                    return
                else:
                    await self._change()

    def _open(self) -> BinaryIO:
        return open(self._path, "rb")

    async def _change(self) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
