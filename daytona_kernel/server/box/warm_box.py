"""The warm box: a box that is started ahead, so that the next sandbox starts at once.

A supervisor takes tens of milliseconds to start, because Python and bubblewrap do. So the server starts a
box when it begins to listen. It starts the next one only after the second sandbox, and with a delay: a
kernel creates one sandbox and should not pay for two, and its sandbox should get the processor first. A
warm box is not a sandbox: no client sees it, and nothing runs in it. It ends with the server.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .box import Box

if TYPE_CHECKING:
    from pathlib import Path

    from .control_group import Size
    from .isolation import Isolation


class WarmBox:
    """A place for one warm box in `directory`, of the size that sandboxes have by default.

    `delay` is the time in seconds from `take` until the next one starts.
    """

    def __init__(self, directory: Path, isolation: Isolation | None, size: Size, delay: float) -> None:
        self._directory = directory
        self._isolation = isolation
        self._size = size
        self._delay = delay
        self._box: Box | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._taken = 0

    def start(self) -> None:
        """Start a box, unless there is one."""
        if self._box is None:
            self._box = Box(self._directory, self._isolation)
            self._box.start_ahead(self._size)

    def take(self, image: str | None = None) -> Box:
        """Return the warm box, or a new one that is not started. From the second time on, start the next.

        A box on an `image` is always a new one.
        """
        if image is not None:
            return Box(self._directory, self._isolation, image)
        taken, self._box = self._box, None
        self._taken += 1
        self._cancel_timer()
        if self._taken > 1:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self.start)
        return taken or Box(self._directory, self._isolation)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def close(self) -> None:
        """Remove the warm box, and start no more."""
        self._cancel_timer()
        box, self._box = self._box, None
        if box is not None:
            await box.remove()
