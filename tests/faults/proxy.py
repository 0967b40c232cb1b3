"""A proxy between a kernel and a server of Daytona's API, which can fail in the ways that networks fail.

The answers of the server name its addresses, for the toolbox and for previews. The proxy replaces each by a
port of its own that leads there. So everything that the kernel sends passes the proxy.
"""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.tunnel import copy

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESS = re.compile(rb"(127\.\d+\.\d+\.\d+):(\d+)")
_LENGTH = re.compile(rb"(?<=\r\ncontent-length: )(\d+)", re.IGNORECASE)


class FaultProxy:
    """The proxy, in a thread of its own.

    status: the status that it answers in place of the server; None to pass requests on.
    websockets_only: whether `status` is only for websockets.
    """

    def __init__(self, api_url: str) -> None:
        self.status: int | None = None
        self.websockets_only = False
        self.refused = 0
        self._loop = asyncio.new_event_loop()
        # The proxy's own address for each address of the server.
        self._own: dict[bytes, bytes] = {}
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        address = urlsplit(api_url).netloc
        own = asyncio.run_coroutine_threadsafe(self._listen(address.encode()), self._loop).result(10)
        self.url = api_url.replace(address, own.decode())

    def cut(self) -> None:
        """Break all connections."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    @contextmanager
    def answering(self, status: int, *, websockets_only: bool) -> Iterator[None]:
        """Break all connections, and answer requests with a status until the block ends."""
        self.status, self.websockets_only, self.refused = status, websockets_only, 0
        self.cut()
        try:
            yield
        finally:
            self.status = None

    def close(self) -> None:
        """End the proxy with its connections."""
        self.cut()
        for server in self._servers:
            self._loop.call_soon_threadsafe(server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _listen(self, address: bytes) -> bytes:
        """Return the proxy's own address for an address of the server."""
        if address not in self._own:

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._serve(reader, writer, address)

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            self._servers.append(server)
            self._own[address] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}".encode()
        return self._own[address]

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: bytes
    ) -> None:
        """Serve one connection: a websocket, or one request."""
        self._writers.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            is_websocket = b"upgrade: websocket" in head.lower()
            if self.status is not None and (is_websocket or not self.websockets_only):
                self.refused += 1
                writer.write(f"HTTP/1.1 {self.status} Whatever\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
                return
            host, _, port = address.decode().partition(":")
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            self._writers.add(far_writer)
            if not is_websocket:
                head = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            far_writer.write(head.replace(self._own[address], address))
            await asyncio.gather(copy(reader, far_writer), self._answer(far_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry an answer, with the proxy's addresses in place of the server's."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is not None and b"application/json" in head:
            body = await reader.readexactly(int(length[1]))
            for found in set(_ADDRESS.findall(body)):
                address = b":".join(found)
                body = body.replace(address, await self._listen(address))
            head = _LENGTH.sub(str(len(body)).encode(), head) + body
        writer.write(head)
        await copy(reader, writer)


@contextmanager
def fault_proxy(api_url: str) -> Iterator[FaultProxy]:
    """Run a proxy before the server at an API URL."""
    proxy = FaultProxy(api_url)
    try:
        yield proxy
    finally:
        proxy.close()
