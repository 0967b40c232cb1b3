"""Name lookups of a sandbox over TCP, which this process passes on over UDP.

A sandbox gets no UDP sockets, and many name servers answer over UDP only.
"""

from __future__ import annotations

import socket
import threading

_SECONDS = 5.0  # of one lookup
_IDLE_SECONDS = 60.0
_MESSAGE_BYTES = 4096
_AT_ONCE = 16


class NameService:
    """A listener on this machine's loopback, at `address`, that asks the first of `servers`.

    A server is a host and a port.
    """

    def __init__(self, servers: list[tuple[str, int]]) -> None:
        self._server = servers[0]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self.address: tuple[str, int] = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._places.acquire(blocking=False):
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
            else:
                client.close()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(_IDLE_SECONDS)
                while (question := _read(client)) is not None:
                    answer = self._ask(question)
                    client.sendall(len(answer).to_bytes(2, "big") + answer)
        except OSError:
            pass  # the sandbox asks again
        finally:
            self._places.release()

    def _ask(self, question: bytes) -> bytes:
        family = socket.AF_INET6 if ":" in self._server[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as server:
            server.settimeout(_SECONDS)
            server.connect(self._server)
            server.send(question)
            return server.recv(_MESSAGE_BYTES)


def _read(client: socket.socket) -> bytes | None:
    """Return a message; None at the end, or if it is too long."""
    size = int.from_bytes(_receive(client, 2), "big")
    message = _receive(client, size) if 0 < size <= _MESSAGE_BYTES else b""
    return message or None


def _receive(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = client.recv(size - len(found))
        if not more:
            return b""
        found += more
    return found
