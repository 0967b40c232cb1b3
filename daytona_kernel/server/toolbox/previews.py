"""The previews of a sandbox's ports: addresses of this machine's loopback that lead into its network.

Each sandbox has its own loopback address, so the same port of two sandboxes has two URLs with the port's
own number. Browsers keep cookies by host name, so a page of a sandbox gets no cookie of a Jupyter server.
The interpreter's messages pass here too, so bytes go from socket to socket without a task between them.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, cast

from .. import limits

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

_NOTHING = (
    "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n"
    "Connection: close\r\n\r\n{}"
)


class Previews:
    """The previews of the sandbox `sandbox_id`. `connect` returns a connection to one of its ports."""

    def __init__(self, sandbox_id: str, connect: Callable[[int], Awaitable[socket.socket]]) -> None:
        digest = hashlib.sha256(sandbox_id.encode()).digest()
        # Not the lowest networks, which people and programs use.
        self._host = f"127.{64 + digest[0] % 128}.{digest[1]}.{1 + digest[2] % 254}"
        self._connect = connect
        self._servers: dict[int, asyncio.Server] = {}
        self._ends: set[_End] = set()  # towards clients
        self._connecting: set[asyncio.Task[None]] = set()

    async def url(self, port: int) -> str:
        """Return the URL on this machine of the sandbox's `port`, and listen there. Raises `OSError`."""
        if port not in self._servers:
            server = await self._listen(port)
            if port in self._servers:  # another request was faster
                server.close()
            else:
                self._servers[port] = server
        host, number = self._servers[port].sockets[0].getsockname()[:2]
        return f"http://{host}:{number}"

    async def _listen(self, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()

        def accept() -> _End:
            return _End(self._ends, lambda end: self._start(end, port))

        try:
            return await loop.create_server(accept, self._host, port)
        except OSError:  # the port is taken on all addresses, or is for root only
            return await loop.create_server(accept, self._host, 0)

    def _start(self, client: _End, port: int) -> None:
        if len(self._ends) > limits.TUNNELS:
            client.transport.abort()
            return
        task = asyncio.ensure_future(self._join(client, port))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _join(self, client: _End, port: int) -> None:
        try:
            connected = await self._connect(port)
        except OSError:
            text = f"Nothing listens on port {port} of the sandbox.\n"
            client.transport.write(_NOTHING.format(len(text), text).encode())
            client.transport.close()
            return
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: _End(set(), client.join), sock=connected)

    async def close(self) -> None:
        """Close all addresses and all connections."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        for end in list(self._ends):
            end.transport.abort()
        for task in self._connecting:
            task.cancel()
        if self._connecting:
            await asyncio.wait(self._connecting)


class _End(asyncio.Protocol):
    """One of the two connections of a tunnel. It writes what it reads to the other, and then its end.

    It is in `open_ends` while it is open. It reads after `join`, and not while the other's buffer is full.
    """

    def __init__(self, open_ends: set[_End], on_made: Callable[[_End], None]) -> None:
        self._open_ends = open_ends
        self._on_made = on_made
        self._other: _End | None = None
        # Some versions of Python read once although `connection_made` has paused the connection.
        self.early = b""
        self.has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.pause_reading()
        self._open_ends.add(self)
        self._on_made(self)

    def join(self, other: _End) -> None:
        """Make a tunnel of the two connections."""
        self._other, other._other = other, self
        for end, opposite in ((self, other), (other, self)):
            end.transport.write(opposite.early)
            if opposite.has_ended:
                end.transport.write_eof()
            end.resume_writing()
        if self.transport.is_closing():  # it was closed in the meantime
            other.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self.early += data
            self.transport.pause_reading()
        else:
            self._other.transport.write(data)

    def eof_received(self) -> bool:
        self.has_ended = True
        other = self._other
        if other is not None:
            if other.has_ended:
                return False  # close this connection, and the other one after it
            other.transport.write_eof()
        return True  # the other direction stays open

    def pause_writing(self) -> None:
        if self._other is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and not self._other.transport.is_closing():
            self._other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # of the base class
        self._open_ends.discard(self)
        if self._other is not None:
            self._other.transport.close()
