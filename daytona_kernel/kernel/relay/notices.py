"""Notices: the texts that the kernel shows in a cell about its wait, its connection, or its interrupt."""

from __future__ import annotations

import asyncio
import time
import uuid
from itertools import groupby
from typing import TYPE_CHECKING

from ..news import GoodNews

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..out.outbox import Outbox
    from .requests import Request, StandIn

# Most sandboxes are ready sooner than this.
_WAITING_SECONDS = 2.0
_TICK_SECONDS = 1.0
# An interrupted subprocess has a quarter of a second to end. A cell that runs on for much longer ignores it.
_INTERRUPT_SECONDS = 3.0
# Most broken connections are restored sooner than this. The text is updated as often.
_OUTAGE_SECONDS = 3.0

_WAITING = "{activity} {seconds:.0f} s. Cells run {place}. To cancel, interrupt the kernel."
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
    "The cell continues there. {reason}"
)


class WaitingNotice:
    """Tells the first waiting cell what it waits for and for how long, and removes the text when it starts.

    It belongs to the relay's loop. first_waiting: returns the first request that waits, or None.
    """

    def __init__(self, outbox: Outbox, first_waiting: Callable[[], Request | None]) -> None:
        self._outbox = outbox
        self._first_waiting = first_waiting
        self._text = ""
        self._place = ""
        self._started = 0.0
        self._timer: asyncio.TimerHandle | None = None
        # The display ids of the text, by the message ids of the cells that show it.
        self._shown: dict[str, str] = {}

    def update(self, text: str, place: str) -> None:
        """Set the text, and the place where cells run; both are shown later if a cell still waits then."""
        self._text, self._place = text, place
        self.schedule()

    def schedule(self) -> None:
        """Show the text later, if a cell waits now and still waits then."""
        if self._timer is None and self._first_waiting() is not None:
            self._started = time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(_WAITING_SECONDS, self._show)

    def clear(self, request: Request) -> None:
        """Remove the text from a cell that no longer waits."""
        display_id = self._shown.pop(request.message.msg_id, None)
        if display_id is None:
            return
        if request.alone:
            # The cell may have its own outputs.
            _display(self._outbox, request, display_id, "", is_new=False)
        else:
            self._outbox.say(request.message, "clear_output", {"wait": False})

    def _show(self) -> None:
        request = self._first_waiting()
        if request is None:
            self._timer = None
            return
        self._timer = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._show)
        if not self._text:
            return
        text = _WAITING.format(
            activity=self._text, seconds=time.monotonic() - self._started, place=self._place or "in a sandbox"
        )
        shown = self._shown.get(request.message.msg_id)
        display_id = shown or self._shown.setdefault(request.message.msg_id, str(uuid.uuid4()))
        _display(self._outbox, request, display_id, text, is_new=shown is None)


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
        self._started = 0.0
        self._timer: asyncio.TimerHandle | None = None
        # The display ids of the text, by the message ids of the cells that show it.
        self._shown: dict[str, tuple[Request, str]] = {}

    def update(self, reason: str | None) -> None:
        """Take the latest reason for the outage, a sentence; None when the outage is over."""
        if reason is not None:
            self._reason = reason
            if self._timer is None:
                self._started = time.monotonic()
                self._timer = asyncio.get_running_loop().call_later(_OUTAGE_SECONDS, self._show)
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for request, display_id in self._shown.values():
            _display(self._outbox, request, display_id, "", is_new=False)
        self._shown.clear()

    def _show(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_OUTAGE_SECONDS, self._show)
        request = self._running()
        if request is None:
            return
        text = _OUTAGE.format(seconds=time.monotonic() - self._started, reason=self._reason)
        shown = self._shown.get(request.message.msg_id)
        display_id = str(uuid.uuid4()) if shown is None else shown[1]
        self._shown[request.message.msg_id] = request, display_id
        _display(self._outbox, request, display_id, text, is_new=shown is None)


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
            for is_good, texts in groupby(self._texts, lambda each: isinstance(each, GoodNews)):
                if is_good:
                    _display(self._outbox, request, str(uuid.uuid4()), "\n".join(texts), is_new=True)
                else:
                    text = "".join(f"{each}\n" for each in texts)
                    self._outbox.say(request.message, "stream", {"name": "stderr", "text": text})
            self._texts.clear()


def _display(outbox: Outbox, request: Request, display_id: str, text: str, *, is_new: bool) -> None:
    """Show or update a text in a cell. JupyterLab does not color it as an error, as it colors stderr."""
    content = {"data": {"text/plain": text}, "metadata": {}, "transient": {"display_id": display_id}}
    outbox.say(request.message, "display_data" if is_new else "update_display_data", content)
