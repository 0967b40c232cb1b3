"""How long something takes: what is shown while a cell waits, and the durations of commands."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from html import escape
from typing import TYPE_CHECKING

from ..formatting import format_duration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .magic_call import MagicCall

_PATIENCE_SECONDS = 1.0


def ticking(call: MagicCall, what: str) -> AbstractAsyncContextManager[None]:
    """Show what is being waited for, and how long already, after a second; nothing of it stays."""
    begun = time.monotonic()

    def describe() -> dict[str, str]:
        text = f"{what} {format_duration(round(time.monotonic() - begun))} …"
        return {"text/plain": text, "text/html": f'<span style="opacity:.6">{escape(text)}</span>'}

    return showing(call, describe)


@asynccontextmanager
async def showing(
    call: MagicCall, describe: Callable[[], dict[str, str]], every: float = 1.0
) -> AsyncIterator[None]:
    """Show how something goes that takes longer than a second; nothing of it stays.

    describe: returns a MIME bundle of how it is now. every: seconds between two looks.
    """
    looks = asyncio.ensure_future(_look(call, describe, every))
    try:
        yield
    finally:
        looks.cancel()
        await asyncio.gather(looks, return_exceptions=True)


async def _look(call: MagicCall, describe: Callable[[], dict[str, str]], every: float) -> None:
    await asyncio.sleep(_PATIENCE_SECONDS)
    display = call.show(describe())
    try:
        while True:
            await asyncio.sleep(every)
            display.update(describe())
    finally:
        # An output can be emptied, but only be removed together with all others of its cell. Text that is
        # empty takes no room in a notebook; a bundle that is empty makes nbconvert warn.
        display.update({"text/plain": ""})


class Timings:
    """When the commands that this kernel started began and ended; Daytona does not tell."""

    def __init__(self) -> None:
        self._begun: dict[tuple[str, str], float] = {}
        self._took: dict[tuple[str, str], float] = {}

    def begin(self, session: str, command_id: str) -> None:
        """A command has begun, or waits for those before it."""
        self._begun[session, command_id] = time.monotonic()

    def end(self, session: str, command_id: str) -> None:
        """It has ended."""
        self._took[session, command_id] = time.monotonic() - self._begun[session, command_id]

    def started(self, session: str, command_id: str) -> float | None:
        """Return when a command began, in seconds since the epoch; None when that is not known."""
        begun = self._begun.get((session, command_id))
        return None if begun is None else time.time() - (time.monotonic() - begun)

    def describe(self, session: str, command_id: str, *, running: bool) -> str:
        """Return how long a command took, or takes by now; "" when that is not known."""
        begun, took = self._begun.get((session, command_id)), self._took.get((session, command_id))
        if running and begun is not None:
            took = time.monotonic() - begun
        return "" if took is None else format_duration(took)
