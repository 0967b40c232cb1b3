"""The display of the elapsed time in a cell that waits."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from html import escape
from typing import TYPE_CHECKING

from ..formatting import format_duration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .magic_call import MagicCall, Shower

_FIRST_DISPLAY_SECONDS = 1.0


def ticking(call: MagicCall, activity: str | Callable[[], str]) -> AbstractAsyncContextManager[None]:
    """Show an activity and its elapsed time, as in "Running for 3 s …", while the block runs.

    The display appears after a second and disappears at the end.
    """
    start = time.monotonic()

    def describe() -> dict[str, str]:
        now = activity if isinstance(activity, str) else activity()
        text = f"{now} {format_duration(round(time.monotonic() - start))} …"
        return {"text/plain": text, "text/html": f'<span style="opacity:.6">{escape(text)}</span>'}

    return showing(call, describe)


@asynccontextmanager
async def showing(
    call: Shower, describe: Callable[[], dict[str, str]], interval: float = 1.0
) -> AsyncIterator[None]:
    """Show a MIME bundle while the block runs. It appears after a second and disappears at the end.

    describe: returns the bundle of the moment. interval: seconds between two updates.
    """
    updates = asyncio.ensure_future(_update(call, describe, interval))
    try:
        yield
    finally:
        updates.cancel()
        await asyncio.gather(updates, return_exceptions=True)


async def _update(call: Shower, describe: Callable[[], dict[str, str]], interval: float) -> None:
    await asyncio.sleep(_FIRST_DISPLAY_SECONDS)
    display = call.show(describe())
    try:
        while True:
            await asyncio.sleep(interval)
            display.update(describe())
    finally:
        # Jupyter cannot remove one output of a cell. Empty text takes no room in a notebook;
        # an empty bundle makes nbconvert warn.
        display.update({"text/plain": ""})
