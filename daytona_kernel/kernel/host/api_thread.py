"""The API thread: an event loop for the client, the magics and the log views.

It starts before the kernel does, so that the sandbox is created while the rest is imported. The relay has
another loop, so work here never delays the relay.
"""

from __future__ import annotations

import asyncio
import sys
import threading

from ..event_loop import EventLoop

# The relay needs the interpreter lock several times for each cell. With Python's default interval, it would
# wait 5 ms for the lock each time while this thread processes a flood of output.
_SWITCH_SECONDS = 0.0002


class ApiThread(EventLoop):
    """An event loop in a daemon thread, which ends with the process."""

    def __init__(self) -> None:
        sys.setswitchinterval(_SWITCH_SECONDS)
        super().__init__(asyncio.new_event_loop())
        threading.Thread(target=self.loop.run_forever, name="API", daemon=True).start()
