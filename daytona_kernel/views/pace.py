"""How fast the followed logs of a kernel may send, all together.

Jupyter's server drops what exceeds 1 MB a second, and with it what the user's cells say; and each
message costs the page time, however short it is.
"""

from __future__ import annotations

import time

_BYTES_A_SECOND = 400_000
_MESSAGE_BYTES = 4_000  # what a message counts for beside its bytes


class Pace:
    """A clock that each message moves on. It belongs to one event loop."""

    def __init__(self) -> None:
        self._free = 0.0

    def spend(self, size: int) -> float:
        """Note that a message of `size` bytes was sent; return the seconds until the next one may be."""
        now = time.monotonic()
        self._free = max(self._free, now) + (size + _MESSAGE_BYTES) / _BYTES_A_SECOND
        return self._free - now


PACE = Pace()
