"""Bytes from one connection to another, for the proxies of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


async def copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    size: int = 65536,
    on_data: Callable[[bytes], object] = lambda _data: None,
) -> None:
    """Copy in pieces of at most `size` bytes until an end breaks or closes, and close the other end."""
    try:
        while data := await reader.read(size):
            on_data(data)
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
