"""The rate at which all log views of a kernel together may send.

Jupyter's server drops messages above 1 MB a second, also those of the user's cells. And each message
costs the page time, even a short one.
"""

from __future__ import annotations

import time

_BYTES_A_SECOND = 400_000
_MESSAGE_BYTES = 4_000  # the cost of a message beside its bytes


class Pace:
    """A clock that each message moves forward. It belongs to one event loop."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def spend(self, size: int) -> float:
        """Note that a message of `size` bytes was sent; return the seconds to wait before the next one."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + (size + _MESSAGE_BYTES) / _BYTES_A_SECOND
        return self._free_at - now


PACE = Pace()
