"""A proxy between a kernel and a server of Daytona's API, which can fail in the ways that networks fail.

The server's answers name its own addresses, for the toolbox and for previews. The proxy replaces them by
the same ports on another loopback address, where it listens too. So all requests of the kernel pass it.
"""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEHIND, _BEFORE = b"127.0.0.1", b"127.0.0.2"
_ADDRESS = re.compile(re.escape(_BEHIND) + rb":(\d+)")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class FaultProxy:
    """The proxy, in a thread of its own.

    status: the status that it answers in place of the server; None to pass requests on.
    websockets_only: whether `status` is only for websockets.
    """

    def __init__(self, api_url: str) -> None:
        parts = urlsplit(api_url)
        assert parts.port is not None
        self.url = api_url.replace(_BEHIND.decode(), _BEFORE.decode())
        self.status: int | None = None
        self.websockets_only = False
        self.refused = 0
        self._loop = asyncio.new_event_loop()
        self._ports: set[int] = set()
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(parts.port), self._loop).result(10)

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

    async def _listen(self, port: int) -> None:
        if port not in self._ports:
            self._ports.add(port)

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await self._serve(reader, writer, port)

            self._servers.append(await asyncio.start_server(serve, _BEFORE.decode(), port))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        """Serve one connection. After its first request it carries bytes both ways, or no further request."""
        self._writers.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            is_websocket = b"upgrade: websocket" in head.lower()
            if self.status is not None and (is_websocket or not self.websockets_only):
                self.refused += 1
                writer.write(f"HTTP/1.1 {self.status} Whatever\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
                return
            far_reader, far_writer = await asyncio.open_connection(_BEHIND.decode(), port)
            self._writers.add(far_writer)
            if not is_websocket:
                head = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            far_writer.write(head.replace(_BEFORE, _BEHIND))
            await asyncio.gather(_copy(reader, far_writer), self._answer(far_reader, writer))
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
            for port in _ADDRESS.findall(body):
                await self._listen(int(port))
            writer.write(head + body.replace(_BEHIND, _BEFORE))
        else:
            writer.write(head)
        await _copy(reader, writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@contextmanager
def fault_proxy(api_url: str) -> Iterator[FaultProxy]:
    """Run a proxy before the server at an API URL."""
    proxy = FaultProxy(api_url)
    try:
        yield proxy
    finally:
        proxy.close()
