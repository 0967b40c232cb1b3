"""The embedded server of this process, which all its clients share. Standard library only.

It starts while this process imports its own modules. A forked child does not own it: the child's copy
of the lease is closed, and the child starts another server if it needs one. `attach`, and the server's
`ready` and `close`, block; call them in a thread from an event loop (asyncio.to_thread).
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock

from .embedded_server import EmbeddedServer


class _Shared:
    """The embedded server of this process; None until one is needed. former: those that have ended."""

    def __init__(self) -> None:
        self.server: EmbeddedServer | None = None
        self.former: list[EmbeddedServer] = []
        self.lock = allocate_lock()


_shared = _Shared()


def start() -> EmbeddedServer:
    """Return this process's embedded server. If none is alive, start one without waiting for it.

    Raises EmbeddedServerError on a system other than Linux.
    """
    if sys.platform != "linux":
        from ..errors import EmbeddedServerError

        raise EmbeddedServerError(
            "No API key is set, and sandboxes on this machine need Linux. Set a key (DAYTONA_API_KEY) to use "
            "Daytona, or use Linux or WSL."
        )
    with _shared.lock:
        server = _shared.server
        if server is not None and server.alive():
            return server
        if server is not None:
            server.disown()
            _shared.former.append(server)
        _shared.server = EmbeddedServer.spawn()
        return _shared.server


def current() -> EmbeddedServer | None:
    """Return the server that this process last started or attached to, alive or not; None for none."""
    return _shared.server


def has_ended_at(netloc: str) -> bool:
    """Return whether an embedded server of this process has listened at a host and port, and has ended."""
    server = _shared.server
    if server is not None and server.is_at(netloc):
        return not server.alive()
    return any(former.is_at(netloc) for former in _shared.former)


def attach(api_url: str, api_key: str) -> EmbeddedServer | None:
    """Take a lease on a server that another process started, and share it in this process.

    Returns None if the server is gone.
    """
    server = EmbeddedServer(pid=0)
    if not server.take_lease(api_url, api_key):
        return None
    with _shared.lock:
        _shared.server = server
    return server


def _forget_in_fork() -> None:
    _shared.lock = allocate_lock()
    if _shared.server is not None:
        _shared.server.disown()
        _shared.server = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_fork)
