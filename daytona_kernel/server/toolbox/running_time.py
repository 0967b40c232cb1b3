"""The time for which a sandbox runs. It stands still while the sandbox is paused, and so do timeouts."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import Future

_SHORTEST_WAIT = 0.05


class RunningTime:
    """The clock of one sandbox."""

    def __init__(self) -> None:
        self._paused_at: float | None = None
        self._paused_for = 0.0

    def pause(self) -> None:
        """Let the time stand still."""
        self._paused_at = time.monotonic()

    def resume(self) -> None:
        """Let the time go on."""
        if self._paused_at is not None:
            self._paused_for += time.monotonic() - self._paused_at
            self._paused_at = None

    @property
    def seconds(self) -> float:
        """The seconds so far, from some start."""
        now = time.monotonic() if self._paused_at is None else self._paused_at
        return now - self._paused_for

    async def wait(self, future: Future[Any], seconds: float | None) -> bool:
        """Wait for a future for these seconds, `None` for ever; return whether it is done."""
        if seconds is None:
            await asyncio.wait([future])
            return True
        end = self.seconds + seconds
        while (left := end - self.seconds) > 0 and not future.done():
            await asyncio.wait([future], timeout=max(left, _SHORTEST_WAIT))
        return future.done()
