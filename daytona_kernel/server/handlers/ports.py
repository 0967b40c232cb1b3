"""The routes of ports. `/proxy/{port}/…` is a byte tunnel to a server that listens in the sandbox.

The handler sends the request's head on, with a relative path. Then it copies bytes both ways, for HTTP and
websockets alike, no faster than the receiver reads them. Each connection carries one request.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from typing import ClassVar

import tornado.iostream
import tornado.web

from ...wire.conventions import PREVIEW_PORTS
from .. import failures, limits
from .fields import parse_port
from .request import ToolboxHandler

# Headers that are meant for this server and not for the server in the sandbox.
_OWN_HEADERS = {
    "authorization",
    "x-daytona-preview-token",
    "connection",
    "keep-alive",
    "proxy-connection",
    "host",
}


class ProxyHandler(ToolboxHandler):
    """A tunnel to one port, for one request."""

    _is_for_pages = True  # a web application in the sandbox has pages
    open_tunnels: ClassVar[int] = 0
    _writer: asyncio.StreamWriter | None = None

    def set_default_headers(self) -> None:
        super().set_default_headers()
        # A refusal leaves the request's body unread, and Tornado then closes the connection.
        self.set_header("Connection", "close")

    def is_authorized(self) -> bool:
        token = self.request.headers.get("x-daytona-preview-token", "")
        if super().is_authorized():
            return True
        try:
            sandbox = self.sandboxes.get(self.path_kwargs["sandbox_id"])
        except failures.ApiError:
            return False  # a stranger does not learn which sandboxes there are
        return hmac.compare_digest(token.encode(), sandbox.preview_token.encode())

    async def prepare(self) -> None:  # type: ignore[override]
        super().prepare()
        port = parse_port(self.path_kwargs["port"])
        if ProxyHandler.open_tunnels >= limits.TUNNELS:
            raise failures.too_many("open tunnels", limits.TUNNELS)
        try:
            connected = await self.sandbox.connect(port)
            self._reader, self._writer = await asyncio.open_connection(sock=connected)
        except OSError:
            raise failures.ApiError(
                502, f"bad gateway: nothing listens on port {port} of the sandbox", "BAD_GATEWAY"
            ) from None
        self._writer.write(self._head(port))

    def _head(self, port: int) -> bytes:
        upgrade = "upgrade" in self.request.headers.get("Connection", "").lower()
        path = self.request.uri or "/"
        relative = path.partition(f"/proxy/{self.path_kwargs['port']}")[2]
        if not relative.startswith("/"):
            relative = "/" + relative
        lines = [
            f"{self.request.method} {relative} HTTP/1.1",
            *(
                f"{name}: {value}"
                for name, value in self.request.headers.get_all()
                if name.lower() not in _OWN_HEADERS
            ),
            f"Host: 127.0.0.1:{port}",
            "Connection: " + ("Upgrade" if upgrade else "close"),
        ]
        self._chunked = "chunked" in self.request.headers.get("Transfer-Encoding", "").lower()
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    async def data_received(self, chunk: bytes) -> None:
        if self._writer is not None:
            if self._chunked:
                chunk = b"%x\r\n%s\r\n" % (len(chunk), chunk)
            self._writer.write(chunk)
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()

    async def get(self, port: str, rest: str) -> None:  # noqa: ARG002  # the route's fields
        writer = self._writer
        if writer is None:
            return
        if self._chunked:
            writer.write(b"0\r\n\r\n")
        client = self.detach()
        ProxyHandler.open_tunnels += 1
        try:
            to_client = asyncio.ensure_future(_copy_to_client(self._reader, client))
            to_port = asyncio.ensure_future(_copy_to_port(client, writer))
            await asyncio.wait([to_client, to_port], return_when=asyncio.FIRST_COMPLETED)
            # A client that has sent everything may still read. Once the server has ended, the tunnel ends.
            if not to_client.done() and client.closed():
                to_client.cancel()
            await asyncio.wait([to_client])
            to_port.cancel()
            await asyncio.wait([to_port])
        finally:
            ProxyHandler.open_tunnels -= 1
            writer.close()
            client.close()
            self.on_finish()

    post = put = patch = delete = head = options = get

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._writer is not None:
            self._writer.close()


async def _copy_to_client(reader: asyncio.StreamReader, client: tornado.iostream.IOStream) -> None:
    with contextlib.suppress(OSError, tornado.iostream.StreamClosedError):
        while data := await reader.read(limits.FILE_CHUNK_BYTES):
            await client.write(data)


async def _copy_to_port(client: tornado.iostream.IOStream, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, tornado.iostream.StreamClosedError):
        while True:
            data = await client.read_bytes(limits.FILE_CHUNK_BYTES, partial=True)
            writer.write(data)
            await writer.drain()


class PortsHandler(ToolboxHandler):
    """Lists the ports from 3000 to 9999 on which a program listens."""

    def get(self) -> None:
        self.answer(
            {"ports": sorted(port for port in self.sandbox.listening_ports() if port in PREVIEW_PORTS)}
        )


class PortInUseHandler(ToolboxHandler):
    """Says whether a program listens on a port."""

    def get(self, port: str) -> None:
        number = parse_port(port)
        if number not in PREVIEW_PORTS:
            raise failures.bad_request("port out of range: must be between 3000 and 9999")
        self.answer({"isInUse": number in self.sandbox.listening_ports()})
