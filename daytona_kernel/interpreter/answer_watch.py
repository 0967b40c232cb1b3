"""The watch over a connection for messages without an answer: its sandbox may be frozen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds without an answer to a message, until the kernel asks the API about the sandbox.
_ANSWER_SECONDS = 3.0


class AnswerWatch:
    """The watch of one connection. It belongs to the event loop that runs the connection.

    on_silence: called when a message has had no answer for some seconds, once until there is one.
    """

    def __init__(self, on_silence: Callable[[], None]) -> None:
        self._on_silence = on_silence
        # When the first message left that nothing has answered yet, by the loop's clock; None for none.
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def sent(self) -> None:
        """Note that a message leaves."""
        if self._since is None:
            self._since = asyncio.get_running_loop().time()
            self._wait(_ANSWER_SECONDS)

    def heard(self) -> None:
        """Note that something has come."""
        self._since = None

    def close(self) -> None:
        """End the watch."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._since is None:
            return
        left = self._since + _ANSWER_SECONDS - asyncio.get_running_loop().time()
        if left > 0:
            self._wait(left)
        else:
            self._on_silence()
