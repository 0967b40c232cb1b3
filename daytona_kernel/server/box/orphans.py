"""Processes that a killed supervisor has left: they come to the server, which ends them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

from ..inside.supervisor import alive_below, children_of

_PR_SET_CHILD_SUBREAPER = 36
_is_subreaper = False


def become_subreaper() -> None:
    """Let what any descendant orphans come to this process."""
    global _is_subreaper
    _is_subreaper = True
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_orphans(known: set[int]) -> None:
    """Kill and reap the children of this process that are not in `known`, and what is below them.

    Only in a process that became a subreaper: in another one, children may be somebody else's.
    """
    while _is_subreaper:
        orphans = [pid for pid in children_of(os.getpid()) if pid not in known]
        if not orphans:
            return
        for pid in alive_below(orphans):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
