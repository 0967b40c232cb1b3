"""The signals that a program inherits from its starter, and which this package's programs set back first."""

from __future__ import annotations

import signal


def reset() -> None:
    """Let this process notice the ends of its children, and block no signal, whatever its starter did.

    A supervisor of services may ignore SIGCHLD. Programs that this one starts would inherit that, and
    bubblewrap would wait for ever.
    """
    if hasattr(signal, "pthread_sigmask"):  # Windows has neither
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
