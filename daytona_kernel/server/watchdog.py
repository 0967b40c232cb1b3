"""The watchdog: it ends a server whose event loop is blocked, and so all of its sandboxes.

Nothing in the server may block the loop. If something does, the server notices neither the end of its leases
nor SIGTERM, and its sandboxes would run on for ever. The supervisors end when the server does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT_STATUS = 70
_CHECKS = 5  # before the end; a process that was stopped for long has not missed them


@contextlib.contextmanager
def watchdog(seconds: float) -> Iterator[None]:
    """While the context lasts, end the process if the running loop is blocked for `seconds`."""
    loop = asyncio.get_running_loop()
    pause = seconds / _CHECKS
    timer: asyncio.Handle | None = None
    turned = threading.Event()
    ended = threading.Event()

    def turn() -> None:
        nonlocal timer
        turned.set()
        timer = loop.call_later(pause / 2, turn)

    def watch() -> None:
        missed = 0
        while not ended.wait(pause):
            missed = 0 if turned.is_set() else missed + 1
            turned.clear()
            if missed >= _CHECKS:
                sys.stderr.write(f"the server did nothing for {seconds:g} s; it ends with its sandboxes\n")
                sys.stderr.flush()
                os._exit(EXIT_STATUS)

    turn()
    threading.Thread(target=watch, name="watchdog", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        if timer is not None:
            timer.cancel()
