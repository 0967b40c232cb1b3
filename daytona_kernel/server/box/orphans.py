"""Orphans: the children of a killed supervisor. The server inherits and ends them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

from ..inside.supervisor import alive_below, children_of

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_libc = ctypes.CDLL(None)


helpers: set[int] = set()  # the pids of children that belong to no sandbox


def become_subreaper() -> None:
    """Make this process inherit the orphans among all its descendants."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _is_subreaper() -> bool:
    answer = ctypes.c_int()
    _libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def end_orphans(known: set[int]) -> None:
    """Kill the process trees of all children that are not in `known` and not in `helpers`.

    Do nothing in a process that is not a subreaper: its other children do not belong to a sandbox.
    """
    while _is_subreaper():
        orphans = [pid for pid in children_of(os.getpid()) if pid not in known | helpers]
        if not orphans:
            return
        for pid in alive_below(orphans):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
