"""The lease of an embedded server: a request that is held open while the server is needed.

Only the standard library is imported.
"""

from __future__ import annotations

from ..wire.routes import LEASE, LEASE_HEADER

TYPE_CHECKING = False  # importing typing takes milliseconds
if TYPE_CHECKING:
    import socket

_SECONDS = 5.0
_HEADER = LEASE_HEADER.lower().encode()


def read_about(head: bytes) -> dict[str, str]:
    """Return the server's description of itself in the head of the response about a lease."""
    import json

    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == _HEADER:
            about: dict[str, str] = json.loads(value)
            return about
    return {"isolation": "none", "note": "", "warning": ""}


def request_lease(method: str, api_url: str, api_key: str) -> tuple[socket.socket, bytes] | None:
    """Send a request about the lease; return the connection and the response's head, or None on failure.

    The request is written by hand because it delays the kernel's start: importing http.client takes
    tens of milliseconds.
    """
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(api_url)
    try:
        connection = socket.create_connection((parts.hostname, parts.port), _SECONDS)
        connection.sendall(
            f"{method} {parts.path}{LEASE} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
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
