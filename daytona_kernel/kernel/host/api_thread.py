"""The thread of the API: an event loop for the client, the magics and the log views.

It is there before the kernel is, so that a sandbox is made while the rest is being imported; and
what it does never holds up the relay, whose loop is another.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

T = TypeVar("T")

# The relay needs the interpreter's lock several times a cell, and would wait five milliseconds for it each
# time while this thread takes a flood of output.
_SWITCH_SECONDS = 0.0002


class ApiThread:
    """One event loop in a thread that ends with the process."""

    def __init__(self) -> None:
        sys.setswitchinterval(_SWITCH_SECONDS)
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="API", daemon=True).start()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine there, from any thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    async def run(self, coroutine: Coroutine[Any, Any, T], /) -> T:
        """Run a coroutine there, and await it on the loop that runs here."""
        return await asyncio.wrap_future(self.start(coroutine))

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function there soon, from any thread."""
        self.loop.call_soon_threadsafe(function, *arguments)
