"""What a cell that waits for its sandbox is told, when the wait is long enough to wonder."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..out.outbox import Outbox
    from .requests import Request

_PATIENCE_SECONDS = 2.0


class Progress:
    """Says in the first waiting cell what it waits for, and takes it back when the cell begins.

    waiting: returns the first request that waits, or None.
    """

    def __init__(self, outbox: Outbox, waiting: Callable[[], Request | None]) -> None:
        self._outbox = outbox
        self._waiting = waiting
        self._text = ""
        self._shown_in: set[str] = set()

    def tell(self, text: str) -> None:
        """Remember a new text, and show it in a while if somebody still waits then."""
        self._text = text
        self.look()

    def look(self) -> None:
        """A request may have begun to wait."""
        if self._waiting() is not None:
            asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._show)

    def clear(self, request: Request) -> None:
        """The request waits no longer."""
        if request.message.msg_id in self._shown_in:
            self._shown_in.discard(request.message.msg_id)
            self._outbox.say(request.message, "clear_output", {"wait": False})

    def _show(self) -> None:
        request = self._waiting()
        if request is not None and self._text:
            text, self._text = self._text, ""
            self._shown_in.add(request.message.msg_id)
            self._outbox.say(request.message, "stream", {"name": "stderr", "text": text + "\n"})
