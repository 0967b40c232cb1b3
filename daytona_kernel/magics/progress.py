"""A bar for what takes long and whose end is known; nothing of it stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape

from .call import Call

_PATIENCE_SECONDS = 0.5
_INTERVAL_SECONDS = 0.25


class Progress:
    """How far it is. done, total: bytes; they may be set from any thread."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.before = 0
        self.done = 0

    def report(self, done: int) -> None:
        """Take the bytes that the current step has done."""
        self.done = self.before + done

    def next(self) -> None:
        """A step has ended, the next one counts from zero."""
        self.before = self.done


@asynccontextmanager
async def progressing(call: Call, what: str, total: int) -> AsyncIterator[Progress]:
    """Show a bar while the work takes longer than a moment."""
    progress = Progress(total)
    shown = asyncio.ensure_future(_show(call, what, progress))
    try:
        yield progress
    finally:
        shown.cancel()
        await asyncio.gather(shown, return_exceptions=True)


async def _show(call: Call, what: str, progress: Progress) -> None:
    await asyncio.sleep(_PATIENCE_SECONDS)
    display = call.show(_bar(what, progress))
    try:
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            display.update(_bar(what, progress))
    finally:
        display.update({})


def _bar(what: str, progress: Progress) -> dict[str, str]:
    done, total = min(progress.done, progress.total), max(progress.total, 1)
    text = f"{what}: {describe_size(done)} of {describe_size(progress.total)} ({100 * done // total} %)"
    bar = f'<progress value="{done}" max="{total}" style="width:20em"></progress> {escape(text)}'
    return {"text/plain": text, "text/html": bar}


def describe_size(size: float) -> str:
    """Return a number of bytes for a person: 17 bytes, 1.2 MB."""
    if size < 1000:
        return f"{size:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"
