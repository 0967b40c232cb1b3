"""What is said in a cell that an interrupt does not stop: what was sent, and what else can be done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..out.outbox import Outbox
    from .requests import Request

# An interrupted subprocess is given a quarter of a second to end; what takes ten times as long goes on.
_PATIENCE_SECONDS = 3.0

_IGNORED = (
    "An interrupt (SIGINT) was sent {seconds:.0f} seconds ago and the cell still runs: its code ignores the "
    "signal, or is in a call that has to return first. Interrupt again, or restart the kernel: that keeps "
    "the sandbox and its files, and loses the variables.\n"
)
_UNSENT = (
    "The interrupt has not reached the sandbox after {seconds:.0f} seconds: the connection is broken, and "
    "is being made anew. The cell goes on; the interrupt is sent as soon as the sandbox answers.\n"
)


class Patience:
    """Watches a cell from an interrupt on. It belongs to the relay's loop.

    runs: whether a request has no reply yet.
    """

    def __init__(self, outbox: Outbox, runs: Callable[[Request], bool]) -> None:
        self._outbox = outbox
        self._runs = runs
        self._timer: asyncio.TimerHandle | None = None
        self._sent = False

    def interrupt(self, request: Request | None) -> None:
        """An interrupt is on its way to a cell; one after another is watched anew. None: nothing runs."""
        if self._timer is not None:
            self._timer.cancel()
        self._sent = False
        if request is not None:
            self._timer = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._tell, request)

    def signal_sent(self) -> None:
        """The signal was sent to the interpreter."""
        self._sent = True

    def _tell(self, request: Request) -> None:
        if self._runs(request):
            text = (_IGNORED if self._sent else _UNSENT).format(seconds=_PATIENCE_SECONDS)
            self._outbox.say(request.message, "stream", {"name": "stderr", "text": text})
