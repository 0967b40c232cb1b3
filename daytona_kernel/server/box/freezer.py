"""The freezing of a box's processes, and their thaw.

SIGSTOP reaches each process below the supervisor, parents first, so that no shell notices that its child has
stopped. The thaw goes the other way round. A process that had stopped before stays stopped. The supervisor
itself runs on: it ends the box when the server closes it or dies, frozen or not.
"""

from __future__ import annotations

import signal
import time

from ..inside.supervisor import children_of, send_signal, stat_of

_SECONDS = 5.0  # in which all processes must have stopped
_POLL = 0.005
_STOPPED = b"Tt"
_ENDED = b"ZX"


def freeze(root: int) -> frozenset[int]:
    """Stop all processes below `root`; return those that had stopped before.

    This blocks for some milliseconds. Raises `RuntimeError` if processes start faster than they can be
    stopped. Nothing is frozen then.
    """
    earlier = frozenset(pid for pid, state in _below(root) if state in _STOPPED)
    sent: set[int] = set(earlier)
    deadline = time.monotonic() + _SECONDS
    while True:
        found = _below(root)
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
    send_signal([pid for pid, _ in reversed(_below(root)) if pid not in earlier], signal.SIGCONT)


def _below(root: int) -> list[tuple[int, bytes]]:
    """Return all descendants of `root` that have not ended, each with its state, parents first."""
    found = []
    pending = children_of(root)
    while pending:
        pid = pending.pop(0)
        status = stat_of(pid)
        if status is None:
            continue
        if status[0] not in _ENDED:
            found.append((pid, status[0]))
        pending += children_of(pid)
    return found
