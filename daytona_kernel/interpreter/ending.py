"""The end of an interpreter, in a sentence for a person.

It is apart from `interpreter`, since a kernel's start needs it before it needs the protocol's messages.
"""

from __future__ import annotations

import signal


def describe_end(status: int) -> str:
    """Return a sentence about how the interpreter ended. status: its exit status, or the negated signal."""
    if status >= 0:
        return f"The interpreter ended with exit status {status}."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = " It may have run out of memory." if name == "SIGKILL" else ""
    return f"The interpreter was ended by {name}.{hint}"
