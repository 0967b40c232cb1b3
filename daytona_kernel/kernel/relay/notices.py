"""Notices: the texts that the kernel shows in a cell about its wait, its connection, or its interrupt."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..out.outbox import Outbox
    from .requests import Request, StandIn

# Most sandboxes are ready sooner than this.
_WAITING_SECONDS = 2.0
# An interrupted subprocess has a quarter of a second to end. A cell that runs on for much longer ignores it.
_INTERRUPT_SECONDS = 3.0
# Most broken connections are there again sooner than this. The text is renewed as often.
_OUTAGE_SECONDS = 3.0

_IGNORED = (
    "An interrupt (SIGINT) was sent {seconds:.0f} seconds ago and the cell still runs: its code ignores the "
    "signal, or is in a call that has to return first. Interrupt again, or restart the kernel: that keeps "
    "the sandbox and its files, and loses the variables.\n"
)
_UNSENT = (
    "The interrupt has not reached the sandbox after {seconds:.0f} seconds: the connection dropped and is "
    "being re-established. The cell still runs; the interrupt is sent as soon as the sandbox answers.\n"
)
_OUTAGE = (
    "There has been no connection to the sandbox for {seconds:.0f} seconds; reconnecting. "
    "The cell goes on there. {reason}"
)


class WaitingNotice:
    """Tells the first waiting cell what it waits for, and removes the text when the cell starts.

    It belongs to the relay's loop. first_waiting: returns the first request that waits, or None.
    """

    def __init__(self, outbox: Outbox, first_waiting: Callable[[], Request | None]) -> None:
        self._outbox = outbox
        self._first_waiting = first_waiting
        self._text = ""
        self._shown_in: set[str] = set()

    def update(self, text: str) -> None:
        """Set the text, and show it later if a cell still waits then."""
        self._text = text
        self.schedule()

    def schedule(self) -> None:
        """Show the text later, if a cell waits now and still waits then."""
        if self._first_waiting() is not None:
            asyncio.get_running_loop().call_later(_WAITING_SECONDS, self._show)

    def clear(self, request: Request) -> None:
        """Remove the text from a cell that no longer waits."""
        if request.message.msg_id in self._shown_in:
            self._shown_in.discard(request.message.msg_id)
            self._outbox.say(request.message, "clear_output", {"wait": False})

    def _show(self) -> None:
        request = self._first_waiting()
        if request is not None and self._text:
            text, self._text = self._text, ""
            self._shown_in.add(request.message.msg_id)
            self._outbox.say(request.message, "stream", {"name": "stderr", "text": text + "\n"})


class InterruptNotice:
    """Tells a cell that an interrupt does not stop it, and what the reader can try next.

    It belongs to the relay's loop. is_running: returns whether a request has no reply yet.
    """

    def __init__(self, outbox: Outbox, is_running: Callable[[Request], bool]) -> None:
        self._outbox = outbox
        self._is_running = is_running
        self._timer: asyncio.TimerHandle | None = None
        self._sent = False

    def watch(self, request: Request | None) -> None:
        """Start to watch a cell that is being interrupted, and end an earlier watch. None: no cell runs."""
        if self._timer is not None:
            self._timer.cancel()
        self._sent = False
        if request is not None:
            self._timer = asyncio.get_running_loop().call_later(_INTERRUPT_SECONDS, self._show, request)

    def mark_sent(self) -> None:
        """Remember that the agent has sent the signal to the interpreter."""
        self._sent = True

    def _show(self, request: Request) -> None:
        if self._is_running(request):
            text = (_IGNORED if self._sent else _UNSENT).format(seconds=_INTERRUPT_SECONDS)
            self._outbox.say(request.message, "stream", {"name": "stderr", "text": text})


class OutageNotice:
    """Tells the running cell that the connection to its sandbox is away, and removes the text afterwards.

    It belongs to the relay's loop. running: returns the request of the cell that runs, or None.
    """

    def __init__(self, outbox: Outbox, running: Callable[[], Request | None]) -> None:
        self._outbox = outbox
        self._running = running
        self._reason = ""
        self._begun = 0.0
        self._timer: asyncio.TimerHandle | None = None
        # The display ids of the text, by the message ids of the cells that show it.
        self._shown: dict[str, tuple[Request, str]] = {}

    def update(self, reason: str | None) -> None:
        """Take the latest reason for the outage, a sentence; None when the outage is over."""
        if reason is not None:
            self._reason = reason
            if self._timer is None:
                self._begun = time.monotonic()
                self._timer = asyncio.get_running_loop().call_later(_OUTAGE_SECONDS, self._show)
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for request, display_id in self._shown.values():
            self._say(request, "update_display_data", display_id, "")
        self._shown.clear()

    def _show(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_OUTAGE_SECONDS, self._show)
        request = self._running()
        if request is None:
            return
        text = _OUTAGE.format(seconds=time.monotonic() - self._begun, reason=self._reason)
        shown = self._shown.get(request.message.msg_id)
        if shown is None:
            self._shown[request.message.msg_id] = request, (display_id := str(uuid.uuid4()))
            self._say(request, "display_data", display_id, text)
        else:
            self._say(request, "update_display_data", shown[1], text)

    def _say(self, request: Request, msg_type: str, display_id: str, text: str) -> None:
        content = {"data": {"text/plain": text}, "metadata": {}, "transient": {"display_id": display_id}}
        self._outbox.say(request.message, msg_type, content)


class News:
    """What happened while no cell ran, in sentences for the next cell. It belongs to the relay's loop."""

    def __init__(self, outbox: Outbox, stand_in: StandIn) -> None:
        self._outbox = outbox
        self._stand_in = stand_in
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Remember a sentence for the next cell."""
        self._texts.append(text)

    def show(self, request: Request) -> None:
        """Show the sentences in a cell, and forget them."""
        if self._texts:
            self._stand_in.announce(request)
            text = "".join(f"{each}\n" for each in self._texts)
            self._outbox.say(request.message, "stream", {"name": "stderr", "text": text})
            self._texts.clear()
