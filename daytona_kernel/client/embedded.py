"""The embedded server: started as a child, and kept alive by a lease. Standard library only.

The child is started without waiting, so that it starts while this process imports what it needs.
It says on its standard output where it listens. The lease is a request that this process holds
open: when the process ends, however it does, the system closes it, and the server ends all that it
has, after a few seconds in which another process can attach itself.

A process has one embedded server, shared by all that ask for it. A forked child does not own it:
its copy of the lease is closed, and it starts a server of its own when it asks for one.
`ready`, `attach` and `close` block; call them in a thread from an event loop (asyncio.to_thread).
"""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock

TYPE_CHECKING = False  # typing's own costs milliseconds
if TYPE_CHECKING:
    import socket

READY_SECONDS = 30.0
_LEASE_SECONDS = 5.0
_LEASE = "/lease"
_HEADER = b"x-daytona-kernel-server"
_COMMAND = ("-P", "-m", "daytona_kernel.server", "--embedded")


class EmbeddedServer:
    """A server of this process, or one that it attached itself to.

    pid: its process. isolation: how sandboxes are kept apart, "bubblewrap" or "none". note: a
    sentence about that for the user, or "". They are known when `ready` has returned.
    """

    def __init__(self, pid: int, out: int | None = None, err: int | None = None) -> None:
        self.pid = pid
        self.isolation = ""
        self.note = ""
        self._out = out
        self._err = err
        self._address: tuple[str, str] | None = None
        self._lease: socket.socket | None = None
        self._lock = allocate_lock()

    def __repr__(self) -> str:
        return f"<EmbeddedServer {self.pid} {self._address[0] if self._address else 'starting'}>"

    def ready(self, timeout: float = READY_SECONDS) -> tuple[str, str]:
        """Wait until it listens, take the lease, and return its API URL and key.

        timeout: seconds to wait. Raises EmbeddedServerError, with the reason, when it does not start.
        """
        with self._lock:
            if self._address is not None:
                return self._address
            hello = self._read_hello(time.monotonic() + timeout)
            url, key = hello["api_url"], hello["api_key"]
            if not self._hold(url, key):
                raise self._failure("it refused the lease")
            return url, key

    def _hold(self, url: str, key: str) -> bool:
        """Take the lease; return whether there was one to take."""
        taken = _ask("GET", url, key)
        if taken is None:
            return False
        self._lease, head = taken
        self._lease.settimeout(None)
        self._address = (url, key)
        self.isolation, self.note = _described(head)
        return True

    def alive(self) -> bool:
        """Whether the server is there; it is not when it has closed the lease."""
        if self._lease is None:
            return self._out is not None and not self._reap()
        from select import select

        # A lease has no more to say: what can be read is its end.
        return not select([self._lease], [], [], 0)[0]

    def close(self, now: bool = False) -> None:
        """Give up the lease: the server ends a few seconds later, or at once with `now`."""
        with self._lock:
            if now and self._address is not None and (asked := _ask("DELETE", *self._address)):
                asked[0].close()
            self.disown()
            self._reap()

    def disown(self) -> None:
        """Close what this process holds of the server, without a word to it."""
        if self._lease is not None:
            self._lease.close()
            self._lease = None
        for descriptor in (self._out, self._err):
            if descriptor is not None:
                os.close(descriptor)
        self._out = self._err = None

    def _read_hello(self, deadline: float) -> dict[str, str]:
        import json
        from select import select

        if self._out is None:
            raise self._failure("it has been closed")
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select([self._out], [], [], left)[0]:
                raise self._failure("it did not say in time that it is ready")
            piece = os.read(self._out, 65536)
            if not piece:
                raise self._failure("it ended before it was ready")
            line += piece
        try:
            hello: dict[str, str] = json.loads(line)
        except ValueError:
            raise self._failure("it said something else than where it listens") from None
        return hello

    def _failure(self, what: str) -> Exception:
        from ..errors import EmbeddedServerError

        said = ""
        if self._err is not None:
            size = os.fstat(self._err).st_size
            said = os.pread(self._err, 4000, max(0, size - 4000)).decode("utf-8", "replace").strip()
        reason = f": {said.splitlines()[-1]}" if said else ""
        return EmbeddedServerError(
            f"The embedded server did not start: {what}{reason}. Set DAYTONA_API_KEY to use Daytona instead."
        )

    def _reap(self) -> bool:
        """Return whether the child has ended, and let the system forget it."""
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True


_shared: EmbeddedServer | None = None
_shared_lock = allocate_lock()


def start() -> EmbeddedServer:
    """Return this process's embedded server; it is started, without waiting, where there is none alive."""
    global _shared
    with _shared_lock:
        if _shared is None or not _shared.alive():
            _shared = _spawn()
        return _shared


def current() -> EmbeddedServer | None:
    """Return the embedded server that this process started or attached last, alive or not; None before."""
    return _shared


def attach(api_url: str, api_key: str) -> EmbeddedServer | None:
    """Take a lease on a server that another process started, and make it this process's own.

    Returns None when it is gone.
    """
    global _shared
    server = EmbeddedServer(pid=0)
    if not server._hold(api_url, api_key):
        return None
    with _shared_lock:
        _shared = server
    return server


def _spawn() -> EmbeddedServer:
    out, child_out = os.pipe()
    err = os.memfd_create("embedded-server-stderr")
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        pid = os.posix_spawn(
            sys.executable,
            (sys.executable, *_COMMAND),
            os.environ,
            file_actions=(
                (os.POSIX_SPAWN_DUP2, nothing, 0),
                (os.POSIX_SPAWN_DUP2, child_out, 1),
                (os.POSIX_SPAWN_DUP2, err, 2),
            ),
            setsid=True,
        )
    finally:
        os.close(child_out)
        os.close(nothing)
    return EmbeddedServer(pid, out, err)


def _described(head: bytes) -> tuple[str, str]:
    """Return the isolation and the note that the head of the lease's answer tells."""
    import json

    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == _HEADER:
            about = json.loads(value)
            return about["isolation"], about["note"]
    return "none", ""


def _ask(method: str, api_url: str, api_key: str) -> tuple[socket.socket, bytes] | None:
    """Send a request about the lease; return its connection and the answer's head when that is good."""
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(api_url)
    try:
        connection = socket.create_connection((parts.hostname, parts.port), _LEASE_SECONDS)
        connection.sendall(
            f"{method} {parts.path}{_LEASE} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: Bearer {api_key}\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head and (piece := connection.recv(4096)):
            head += piece
    except OSError:
        return None
    if head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204")):
        return connection, head
    connection.close()
    return None


def _forked() -> None:
    global _shared, _shared_lock
    _shared_lock = allocate_lock()
    if _shared is not None:
        _shared.disown()
        _shared = None


os.register_at_fork(after_in_child=_forked)
