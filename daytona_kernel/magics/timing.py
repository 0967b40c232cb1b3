"""Elapsed time: the display in a cell that waits, and the durations of commands."""

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
    call: MagicCall, describe: Callable[[], dict[str, str]], interval: float = 1.0
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


async def _update(call: MagicCall, describe: Callable[[], dict[str, str]], interval: float) -> None:
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


class Timings:
    """The start and duration of the commands that this kernel started. Daytona does not report them."""

    def __init__(self) -> None:
        self._starts: dict[tuple[str, str], float] = {}
        self._durations: dict[tuple[str, str], float] = {}

    def start(self, session: str, command_id: str) -> None:
        """Note that a command was sent. It may still wait for the commands before it."""
        self._starts[session, command_id] = time.monotonic()

    def end(self, session: str, command_id: str) -> None:
        """Note that a command has ended."""
        self._durations[session, command_id] = time.monotonic() - self._starts[session, command_id]

    def started(self, session: str, command_id: str) -> float | None:
        """Return when a command started, in seconds since the epoch; None if that is unknown."""
        start = self._starts.get((session, command_id))
        return None if start is None else time.time() - (time.monotonic() - start)

    def describe(self, session: str, command_id: str, *, running: bool) -> str:
        """Return a command's duration, or its elapsed time if it is running; "" if that is unknown."""
        start, seconds = self._starts.get((session, command_id)), self._durations.get((session, command_id))
        if running and start is not None:
            seconds = time.monotonic() - start
        return "" if seconds is None else format_duration(seconds)
