"""TLS for a websocket that one thread reads while others write.

OpenSSL allows only one thread at a time in a connection, and Python's own TLS sockets do not ensure that. A
server's session ticket follows the handshake, and then the thread that reads and the thread that sends the
first request could take each other's messages and wait for ever. So here TLS works on memory, under a lock,
and the socket is read and written outside of it.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from threading import Lock
from typing import Any

_PIECE = 65536


class TlsContext:
    """The part of an `ssl.SSLContext` that websockets uses, for sockets of this module."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_socket(self, sock: socket.socket, *, server_hostname: str) -> TlsSocket:
        """Return a TLS socket after its handshake, within the socket's timeout. Raises OSError."""
        return TlsSocket(sock, self._context, server_hostname)


class TlsSocket:
    """The part of a socket that websockets uses. One thread may read while others write or close."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, server_hostname: str) -> None:
        self._socket = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._tls_lock = Lock()
        self._sending = Lock()  # records leave in the order in which they are made
        self._shake_hands()

    def __getattr__(self, name: str) -> Any:
        # fileno, getsockname, settimeout, …
        return getattr(self._socket, name)

    def _shake_hands(self) -> None:
        timeout = self._socket.gettimeout()
        deadline = None if timeout is None else time.monotonic() + timeout
        done = False
        while not done:
            if deadline is not None:
                self._socket.settimeout(_left(deadline))
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            finally:
                self._socket.sendall(self._outgoing.read())  # also the reason of a refusal
            if not done:
                self._receive(_PIECE)

    def recv(self, size: int) -> bytes:
        """Return the next bytes of the peer, at most `size`; none after its end."""
        while True:
            with self._tls_lock:
                data = self._read(size)
            if data is not None:
                return data
            self._receive(size)

    def sendall(self, data: bytes | bytearray | memoryview) -> None:
        """Send all bytes."""
        rest = memoryview(data).cast("B")
        with self._sending:
            while rest:
                with self._tls_lock:
                    rest = rest[self._tls.write(rest) :]
                    records = self._outgoing.read()
                self._socket.sendall(records)

    def shutdown(self, how: int) -> None:
        """End the connection in one or both directions, without a message of TLS."""
        self._socket.shutdown(how)

    def close(self) -> None:
        """Close the connection. A thread that reads is woken; the system would leave it waiting."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _receive(self, size: int) -> None:
        piece = self._socket.recv(size)
        with self._tls_lock:
            self._incoming.write(piece) if piece else self._incoming.write_eof()

    def _read(self, size: int) -> bytes | None:
        """Return all that has been received, decrypted; None for nothing yet.

        websockets waits for the socket to be readable, so nothing may stay behind. What TLS has to answer
        leaves with the next bytes that are sent.
        """
        pieces = []
        try:
            while piece := self._tls.read(size):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            return b"".join(pieces) or None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            pass
        return b"".join(pieces)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the TLS handshake took too long")
    return left
