"""The agent's journal: the messages that the kernel has not acknowledged, in memory and then in a file.

A kernel that is away (a sleeping laptop, a dropped connection) must find every message when it returns, and a
cell that prints without end must not fill the sandbox's memory. The first bytes stay in memory, where a
connected kernel takes them from. The rest goes to a file without a name, which is emptied when everything in
it was acknowledged. Both have limits: when the journal is `full`, its owner stops reading from the
interpreter.
"""

from __future__ import annotations

import io
import tempfile
from collections import deque
from pathlib import Path

MEMORY_BYTES = 64 << 20
FILE_BYTES = 2 << 30


class SpillingJournal:
    """See `wire.link.Journal`.

    memory_bytes: the size in memory beyond which the file is used.
    file_bytes: the size of the file at which the journal is full.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES, file_bytes: int = FILE_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._file_bytes = file_bytes
        self._first = 1
        # A packet, or its offset and length in the file.
        self._entries: deque[bytes | tuple[int, int]] = deque()
        self._in_memory = 0
        self._in_file = 0
        self._file_end = 0
        self._file: io.FileIO | None = None
        self._disk_full = False

    @property
    def full(self) -> bool:
        """Whether the owner has to wait until packets are dropped, before it appends another."""
        return self._disk_full or self._file_end >= self._file_bytes

    def append(self, sequence: int, packet: bytes) -> None:
        """See Journal."""
        if not self._entries:
            self._first = sequence
        fits = self._in_memory + len(packet) <= self._memory_bytes or not self._entries
        if fits or not self._write(packet):
            self._entries.append(packet)
            self._in_memory += len(packet)
            return
        self._entries.append((self._file_end, len(packet)))
        self._file_end += len(packet)
        self._in_file += 1

    def _write(self, packet: bytes) -> bool:
        """Write a packet to the end of the file; return whether all of it is there."""
        try:
            if self._file is None:
                descriptor, path = tempfile.mkstemp(prefix="daytona-journal-")
                Path(path).unlink()
                self._file = io.FileIO(descriptor, "r+")
            self._file.seek(self._file_end)
            left = memoryview(packet)
            while left:  # a file without buffer may take only a part
                left = left[self._file.write(left) :]
        except OSError:
            self._disk_full = True
            return False
        return True

    def read(self, sequence: int) -> bytes:
        """See Journal."""
        if sequence < self._first:
            raise LookupError(sequence)
        entry = self._entries[sequence - self._first]
        if isinstance(entry, bytes):
            return entry
        assert self._file is not None
        offset, length = entry
        self._file.seek(offset)
        return self._file.read(length)

    def drop(self, sequence: int) -> None:
        """See Journal."""
        while self._entries and self._first <= sequence:
            entry = self._entries.popleft()
            self._first += 1
            if isinstance(entry, bytes):
                self._in_memory -= len(entry)
            else:
                self._in_file -= 1
        if self._in_memory < self._memory_bytes:
            self._disk_full = False  # perhaps there is room again; otherwise the next write says so
        if self._file is not None and not self._in_file:
            self._file.truncate(0)
            self._file_end = 0

    def close(self) -> None:
        """Close the file, which deletes it."""
        if self._file is not None:
            self._file.close()
