"""A whole log on its way to a page, piece by piece.

The page asks for each piece, so one at most waits in memory, and a piece that was lost on the way is
asked for again. A download whose page has gone away ends by itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

_PIECE_BYTES = 512 << 10
_PATIENCE = 60.0


class LogDownload:
    """The bytes of a log in pieces of 512 KiB, the last one shorter, numbered from 0."""

    def __init__(self, data: AsyncIterator[bytes]) -> None:
        self._data = _cut(data)
        self._number = -1
        self._piece: bytes | None = b""
        self._next: bytes | None = None
        self._lock = asyncio.Lock()
        self._watch: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def read(self, number: int) -> tuple[bytes, bool]:
        """Return a piece, and whether it is the last: the next one, or the latest again.

        Raises ValueError for any other, and what the source of the log raises.
        """
        async with self._lock:
            self._wait_for_page()
            if number == self._number + 1:
                self._piece = self._next if number else await anext(self._data, b"")
                self._next = await anext(self._data, None)
                self._number = number
            if number != self._number or self._piece is None:
                raise ValueError("the download was interrupted; start it again")
            return self._piece, self._next is None

    async def aclose(self) -> None:
        """Let go of the source of the log."""
        if self._watch is not None:
            self._watch.cancel()
        async with self._lock:
            await self._data.aclose()

    def _wait_for_page(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = asyncio.get_running_loop().call_later(_PATIENCE, self._give_up)

    def _give_up(self) -> None:
        self._closing = asyncio.get_running_loop().create_task(self.aclose())


async def _cut(data: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    parts: list[bytes] = []
    size = 0
    async for part in data:
        parts.append(part)
        size += len(part)
        while size >= _PIECE_BYTES:
            joined = b"".join(parts)
            yield joined[:_PIECE_BYTES]
            parts, size = [joined[_PIECE_BYTES:]], size - _PIECE_BYTES
    if size:
        yield b"".join(parts)
