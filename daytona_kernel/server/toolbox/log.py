"""The log of a session's command. The server writes it as output comes; any number of followers read it.

The log is a file in the toolbox's format, which has a marker before each line and at each change of the
stream. The output itself may also contain the bytes of a marker, in one piece or where two pieces meet.
`MarkedLog` breaks such a run with a change of stream and back, so that a reader gets every byte back in
its own stream.
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
# The bytes that break a run, by the stream and the run's byte. The stream's own marker breaks a run of the
# other marker's bytes.
_BREAKS = {
    stream: {
        MARKERS[stream][:1]: MARKERS[_OTHER[stream]] + MARKERS[stream],
        MARKERS[_OTHER[stream]][:1]: MARKERS[stream],
    }
    for stream in Stream
}
_RUN = re.compile(rb"\x01\x01|\x02\x02")


class MarkedLog:
    """The encoder of a log: chunks of two streams in, bytes of the log out. No I/O."""

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
                head = MARKERS[self._stream]  # or else that byte would look like the marker's
            head += marker
        elif self._last == data[:1] and data[:1] in breaks:
            head = breaks[data[:1]]
        last = data[-1:]
        # Most output has neither byte. A search for one byte is much faster than the expression.
        if b"\x01" in data or b"\x02" in data:
            data = _RUN.sub(lambda run: run[0] + breaks[run[0][:1]], data)
        if b"\n" in data:
            data = data.replace(b"\n", b"\n" + marker)
            if last == b"\n":
                data = data[: -len(marker)]  # the next line gets its marker when it comes
        self._stream = stream
        self._last = last
        return head + data


class CommandLog:
    """One command's log file.

    When the command has finished, its followers end. A background child may still add to the log after that.
    A log that is full, or whose disk is full, ends with a note, which needs no room on the disk.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._marked = MarkedLog()
        self._waiting: set[asyncio.Future[None]] = set()
        self.finished = False
        self._written = 0  # bytes in the file
        self._note = b""  # behind them

    @property
    def size(self) -> int:
        """The bytes in the log."""
        return self._written + len(self._note)

    def write(self, stream: Stream, data: bytes) -> None:
        """Add output. At the limit, or when the disk is full, add a note once and drop the rest."""
        if self._file is None or self._note:
            return
        encoded = self._marked.encode(stream, data)
        note = ""
        if self._written + len(encoded) > limits.LOG_BYTES:
            encoded = encoded[: limits.LOG_BYTES - self._written]
            note = f"log full: {limits.LOG_BYTES >> 20} MiB kept"
        view = memoryview(encoded)
        try:
            while view:
                written = os.write(self._file, view)
                view = view[written:]
                self._written += written
        except OSError as error:
            note = f"the log cannot be written: {error.strerror}"
        if note:
            text = f"\n[{note}, the rest of the output was dropped]\n"
            self._note = MARKERS[Stream.STDERR] + text.encode()
        self._wake()

    def finish(self) -> None:
        """End all followers: the command has ended, and its output has been written."""
        self.finished = True
        self._wake()

    def close(self) -> None:
        """Close the file: the streams or the session have ended."""
        self.finished = True
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._wake()

    def read(self) -> bytes:
        """Return the whole present log."""
        with self._open() as file:
            return file.read(self._written) + self._note

    async def pieces(self, size: int, *, follow: bool, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the log from byte `start` on, in pieces of at most `size` bytes.

        With `follow`, wait for more output until the command has finished.
        """
        position = start
        with self._open() as file:
            file.seek(start)
            while True:
                if position < self._written:
                    piece = file.read(min(size, self._written - position))
                    position += len(piece)
                    yield piece
                elif position < self.size:
                    yield self._note[position - self._written :]
                    position = self.size
                elif self.finished or not follow:
                    return
                else:
                    await self._change()

    def _open(self) -> BinaryIO:
        return self._path.open("rb")

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
