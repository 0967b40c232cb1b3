"""The failed cells whose error aborts the cells behind them.

A front end sends many cells at once, and some of them arrive after the first has failed. They are behind it
if the front end did not know of the error when it sent them. So the reply with the error waits until no more
cells arrive, for some hundredths of a second. Each cell that arrives before the reply has left is behind. A
cell that was on its way then shows it by its date: it was created less time after the failed cell than the
failed cell spent in this kernel. Both dates are of the same clock, and so are both times.

The interpreter aborts the cells that it gets after an error, until the kernel lets it run cells again, in
front of the first cell that is not behind. Without an interpreter, the kernel aborts them itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from .requests import MAIN_QUEUE, Queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire.messages import Message
    from .requests import Request

# The reply waits until no cell has arrived for this many seconds, and no longer than the second number.
_QUIET_SECONDS = 0.02
_LONGEST_SECONDS = 0.2
# A message is not longer under way, in seconds. Later, a date could only mislead.
_TRAVEL_SECONDS = 1.0
# Clocks differ in speed, and some front ends round a date to milliseconds.
_CLOCK_SHARE = 0.999
_CLOCK_SECONDS = 0.001


@dataclass
class Failure:
    """A failed cell, and the messages of its queue that wait until its reply may leave.

    request: None if an earlier kernel knew the cell. is_aborting: whether the interpreter aborts cells.
    released: when the reply left, by the loop's clock; None before.
    """

    request: Request | None
    is_aborting: bool
    started: float
    latest: float
    released: float | None = None
    held: list[Message] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def is_before(self, request: Request) -> bool:
        """Return whether a cell is behind this one."""
        if self.released is None:
            return True
        if self.request is None or request.arrived - self.released > _TRAVEL_SECONDS:
            return False
        if request.arrived <= self.released:
            return True
        later = _seconds_between(self.request.message, request.message)
        spent = self.released - self.request.arrived
        return later is not None and 0 <= later < spent * _CLOCK_SHARE - _CLOCK_SECONDS


class Failures:
    """The latest failure of each queue. They belong to the relay's loop.

    deliver: passes a message on that was held.
    """

    def __init__(self, deliver: Callable[[Message], None]) -> None:
        self._deliver = deliver
        self._by_queue: dict[Queue, Failure] = {}
        self._waiting: set[Queue] = set()

    def observe(self, request: Request) -> None:
        """Take note of a cell that has just arrived."""
        request.arrived = asyncio.get_running_loop().time()
        if request.queue in self._waiting:
            self._by_queue[request.queue].latest = request.arrived

    def begin(self, request: Request, *, in_interpreter: bool) -> None:
        """Hold back the messages of a failed cell and of its queue until it is quiet.

        in_interpreter: whether the interpreter has reported the error, and aborts the cells that it gets.
        """
        before = self._by_queue.get(request.queue)
        if request.queue in self._waiting or (before is not None and before.request is request):
            return
        loop = asyncio.get_running_loop()
        is_aborting = in_interpreter or (before is not None and before.is_aborting)
        failure = Failure(request, is_aborting, loop.time(), loop.time())
        self._by_queue[request.queue] = failure
        self._waiting.add(request.queue)
        loop.call_later(_QUIET_SECONDS, self._release_if_quiet, request.queue, failure)

    def dismiss(self, request: Request) -> None:
        """Deliver what is held back for a cell, because its reply reports no error after all."""
        failure = self._by_queue.get(request.queue)
        if failure is not None and failure.request is request:
            self._release(request.queue, failure)
            del self._by_queue[request.queue]

    def hold(self, message: Message, request: Request | None) -> bool:
        """Keep a message of the interpreter if it must wait; return whether it must.

        request: the request that it answers, if that has no reply yet.
        """
        if not self._waiting:
            return False
        for queue in self._waiting:
            failure = self._by_queue[queue]
            failed = failure.request
            of_failed = failed is not None and failed.message.msg_id == message.parent_id
            if of_failed or (request is not None and request.is_execution and request.queue == queue):
                failure.held.append(message)
                return True
        return False

    def must_abort(self, request: Request) -> bool:
        """Return whether the kernel must abort a cell, because the interpreter would run it."""
        failure = self._by_queue.get(request.queue)
        return failure is not None and not failure.is_aborting and failure.is_before(request)

    def ends_with(self, request: Request) -> bool:
        """Forget the failure of a queue if a cell is not behind it; return whether the interpreter aborts."""
        failure = self._by_queue.get(request.queue)
        if failure is None or failure.is_before(request):
            return False
        del self._by_queue[request.queue]
        return failure.is_aborting

    async def wait(self, request: Request) -> None:
        """Wait until no message of a queue is held back."""
        failure = self._by_queue.get(request.queue)
        if failure is not None:
            await failure.left.wait()

    def inherit(self) -> None:
        """Assume that the interpreter aborts cells, because another kernel used it before."""
        now = asyncio.get_running_loop().time()
        failure = Failure(None, is_aborting=True, started=now, latest=now, released=now)
        failure.left.set()
        self._by_queue[MAIN_QUEUE] = failure

    def forget_interpreter(self) -> None:
        """Forget that the interpreter aborts cells, because it is gone."""
        for failure in self._by_queue.values():
            failure.is_aborting = False

    def _release_if_quiet(self, queue: Queue, failure: Failure) -> None:
        if failure.released is not None:
            return
        loop = asyncio.get_running_loop()
        pause = failure.latest + _QUIET_SECONDS - loop.time()
        if pause > 0 and loop.time() - failure.started < _LONGEST_SECONDS:
            loop.call_later(pause, self._release_if_quiet, queue, failure)
            return
        self._release(queue, failure)

    def _release(self, queue: Queue, failure: Failure) -> None:
        self._waiting.discard(queue)
        failure.released = asyncio.get_running_loop().time()
        for message in failure.held:
            self._deliver(message)
        failure.held.clear()
        failure.left.set()


def _seconds_between(first: Message, second: Message) -> float | None:
    """Return the seconds between the dates of two messages of one client; None if they do not tell."""
    if first.header.get("session") != second.header.get("session"):
        return None
    try:
        dates = [datetime.fromisoformat(each.header["date"]).timestamp() for each in (first, second)]
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return dates[1] - dates[0]
