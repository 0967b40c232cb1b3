"""The log of a session's command. The server writes it as output comes; any number of followers read it.

The log is a file in the toolbox's format; see `log_encoding`.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, BinaryIO

from ...wire.logs import MARKERS, Stream
from .. import limits
from .log_encoding import MarkedLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .log_encoding import LogEncoder


class _Reserve:
    """Memory for the logs while the disk is full. The kernel and a person read them to make room."""

    def __init__(self) -> None:
        self.used = 0

    def take(self, size: int) -> bool:
        """Use so many bytes; return whether they are there."""
        fits = self.used + size <= limits.LOG_RESERVE_BYTES
        self.used += size if fits else 0
        return fits


_RESERVE = _Reserve()


class CommandLog:
    """One command's log: a file, and its end in memory if the disk is full.

    When the command has finished, its followers end. A background child may still add to the log after that.
    A log that is full ends with a note.
    `encoder` is the log's own; `None` means one that keeps every byte.
    """

    def __init__(self, path: Path, encoder: LogEncoder | None = None) -> None:
        self._path = path
        self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._encoder = encoder or MarkedLog()
        self._waiting: set[asyncio.Future[None]] = set()
        self.finished = False
        self._written = 0  # bytes in the file
        self._in_memory = b""  # behind them
        self._reserved = 0  # of the bytes in memory
        self._failure = ""  # of the last write
        self._is_full = False

    @property
    def size(self) -> int:
        """The bytes in the log."""
        return self._written + len(self._in_memory)

    def write(self, stream: Stream, data: bytes) -> None:
        """Add output. When there is no room, add a note once and drop the rest."""
        self._append(self._encoder.encode(stream, data))

    def end(self, stream: Stream) -> None:
        """Add what the encoder has held back of a stream that has ended."""
        self._append(self._encoder.end(stream))

    def echo(self, lines: bytes) -> None:
        """Add whole lines of input."""
        self._append(self._encoder.echo(lines))

    def _append(self, encoded: bytes) -> None:
        if self._file is None or self._is_full or not encoded:
            return
        note = ""
        if self._written + len(encoded) > limits.LOG_BYTES:
            encoded = encoded[: limits.LOG_BYTES - self._written]
            note = f"log full: {limits.LOG_BYTES >> 20} MiB kept"
        view = memoryview(encoded)
        try:
            while view and not self._in_memory:
                written = os.write(self._file, view)
                view = view[written:]
                self._written += written
        except OSError as error:
            self._failure = f"the log cannot be written: {error.strerror}"
        if view and _RESERVE.take(len(view)):
            self._reserved += len(view)
            self._in_memory += view
        elif view:
            note = self._failure
        if note:
            self._is_full = True
            text = f"\n[{note}, the rest of the output was dropped]\n"
            self._in_memory += MARKERS[Stream.STDERR] + text.encode()
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

    def forget(self) -> None:
        """Give back the log's memory, because its session is deleted."""
        _RESERVE.used -= self._reserved
        self._in_memory, self._reserved = b"", 0

    def read(self) -> bytes:
        """Return the whole present log."""
        with self._open() as file:
            return file.read(self._written) + self._in_memory

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
                    piece = self._in_memory[position - self._written :][:size]
                    position += len(piece)
                    yield piece
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
