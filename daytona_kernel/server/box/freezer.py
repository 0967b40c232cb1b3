"""The freezing of a box's processes, and their thaw.

SIGSTOP reaches each process below the supervisor, parents first, so that no shell notices that its child has
stopped. The thaw goes the other way round. A process that had stopped before stays stopped. The supervisor
itself runs on: it ends the box when the server closes it or dies, frozen or not.
"""

from __future__ import annotations

import signal
import time

from ..inside.supervisor import children_of, send_signal, states_below

_SECONDS = 5.0  # in which all processes must have stopped
_POLL = 0.005
_STOPPED = b"Tt"


def freeze(root: int) -> frozenset[int]:
    """Stop all processes below `root`; return those that had stopped before.

    This blocks for some milliseconds. Raises `RuntimeError` if processes start faster than they can be
    stopped. Nothing is frozen then.
    """
    earlier = frozenset(pid for pid, state in states_below(children_of(root)) if state in _STOPPED)
    sent: set[int] = set(earlier)
    deadline = time.monotonic() + _SECONDS
    while True:
        found = states_below(children_of(root))
        fresh = [pid for pid, _ in found if pid not in sent]
        send_signal(fresh, signal.SIGSTOP)
        sent.update(fresh)
        # A process in an uninterruptible call stops when that returns.
        if not fresh and all(state in _STOPPED + b"D" for _, state in found):
            return earlier
        if time.monotonic() > deadline:
            thaw(root, earlier)
            raise RuntimeError("its processes could not be stopped")
        time.sleep(0 if fresh else _POLL)


def thaw(root: int, earlier: frozenset[int]) -> None:
    """Continue all processes below `root`, except for those that had stopped before they were frozen."""
    below = reversed(states_below(children_of(root)))
    send_signal([pid for pid, _ in below if pid not in earlier], signal.SIGCONT)
