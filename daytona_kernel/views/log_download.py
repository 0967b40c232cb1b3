"""A whole log on its way to a page, in pieces.

The page asks for each piece, so no more than one waits in memory, and the page asks again for a piece
that was lost. A download ends if its page asks for nothing for a minute.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

INTERRUPTED = "it was interrupted; start it again"

_PIECE_BYTES = 512 << 10
_PAGE_TIMEOUT = 60.0


class LogDownload:
    """The bytes of a log in pieces of 512 KiB, numbered from 0. The last piece can be shorter."""

    def __init__(self, data: AsyncIterator[bytes]) -> None:
        self._data = _cut(data)
        self._number = -1
        self._piece: bytes | None = b""
        self._next: bytes | None = None
        self._lock = asyncio.Lock()
        self._watch: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def read(self, number: int) -> tuple[bytes, bool]:
        """Return a piece, and whether it is the last: the next piece, or the latest one again.

        Raises ValueError for any other number, and the errors of the log's source.
        """
        async with self._lock:
            self._wait_for_page()
            if number == self._number + 1:
                self._piece = self._next if number else await anext(self._data, b"")
                self._next = await anext(self._data, None)
                self._number = number
            if number != self._number or self._piece is None:
                raise ValueError(INTERRUPTED)
            return self._piece, self._next is None

    async def aclose(self) -> None:
        """Close the log's source."""
        if self._watch is not None:
            self._watch.cancel()
        async with self._lock:
            await self._data.aclose()

    def _wait_for_page(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = asyncio.get_running_loop().call_later(_PAGE_TIMEOUT, self._give_up)

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
