"""A proxy between a kernel and a server of Daytona's API, which can fail in the ways that networks fail.

The answers of the server name its addresses, for the toolbox and for previews. The proxy replaces each by a
port of its own that leads there. So everything that the kernel sends passes the proxy.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ADDRESS = re.compile(rb"(127\.\d+\.\d+\.\d+):(\d+)")
_LENGTH = re.compile(rb"(?<=\r\ncontent-length: )(\d+)", re.IGNORECASE)
_PIECE = 65536
_DELAY_SECONDS = 0.2
# A trickle is about 10 kB a second.
_TRICKLE_BYTES, _TRICKLE_SECONDS = 100, 0.01


class Where(Enum):
    """The connections that a fault is for."""

    API = "the API"
    PREVIEW = "the preview"  # the websocket to the agent
    BOTH = "both"


class Weather(Enum):
    """What becomes of each piece of data, and of each new connection."""

    FAIR = "passes at once"
    DELAY = "passes later"
    TRICKLE = "passes in small pieces"
    STALL = "waits until the weather is another"
    MUTE = "passes, but new connections break before their answer"


class Passage:
    """One connection of a kernel, and the proxy's own one to the server."""

    def __init__(self, *, to_api: bool, client: asyncio.StreamWriter) -> None:
        self.to_api = to_api
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.dead = False

    def is_at(self, where: Where) -> bool:
        return where is Where.BOTH or self.to_api == (where is Where.API)

    def abort(self) -> None:
        for writer in (self.client, self.server):
            if writer is not None:
                writer.transport.abort()


class FaultProxy:
    """The proxy, in a thread of its own.

    requests: the first lines of the requests that have come.
    refused: how many requests the present fault has refused, or left without an answer.
    """

    def __init__(self, api_url: str) -> None:
        self.requests: list[str] = []
        self.refused = 0
        self._status: int | None = None
        # A status and a message for each route that is refused, by the end of its path.
        self._routes: dict[str, tuple[int, str]] = {}
        self._where = Where.BOTH
        self._weather = Weather.FAIR
        self._changed = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        # The proxy's own address for each address of the server.
        self._own: dict[bytes, bytes] = {}
        self._servers: list[asyncio.Server] = []
        self._passages: set[Passage] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._api_address = urlsplit(api_url).netloc.encode()
        own = asyncio.run_coroutine_threadsafe(self._listen(self._api_address), self._loop).result(10)
        self.url = api_url.replace(self._api_address.decode(), own.decode())

    def cut(self, where: Where = Where.BOTH) -> None:
        """Break all connections."""
        self._each(where, Passage.abort)

    def half_close(self, where: Where) -> None:
        """End what the server sends on each open connection. The other direction stays open."""
        self._each(where, lambda passage: passage.client.write_eof())

    def silence(self, where: Where) -> None:
        """Let no more data pass on the open connections, as when a NAT has forgotten them."""

        def die(passage: Passage) -> None:
            passage.dead = True

        self._each(where, die)

    def begin(self, weather: Weather, where: Where) -> None:
        """Carry data as the weather says, until `clear`."""
        self.refused = 0
        self._on_loop(self._change, None, weather, where)

    def refuse(self, status: int, where: Where) -> None:
        """Break all connections, and answer requests with a status, until `clear`."""
        self.refused = 0
        self._on_loop(self._change, status, Weather.FAIR, where)
        self.cut(where)

    def refuse_route(self, end: str, status: int, message: str) -> None:
        """Answer requests whose path ends so in Daytona's words."""
        self._routes[end] = status, message

    def clear(self) -> None:
        """Let everything pass again."""
        self._on_loop(self._change, None, Weather.FAIR, Where.BOTH)

    @contextmanager
    def answering(self, status: int, where: Where) -> Iterator[None]:
        """Break all connections, and answer requests with a status until the block ends."""
        self.refuse(status, where)
        try:
            yield
        finally:
            self.clear()

    def close(self) -> None:
        """End the proxy with its connections."""
        self.cut()
        for server in self._servers:
            self._on_loop(server.close)
        asyncio.run_coroutine_threadsafe(self._end_tasks(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end_tasks(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_loop(self, function: Callable[..., object], *arguments: object) -> None:
        async def call() -> None:
            function(*arguments)

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def _each(self, where: Where, do: Callable[[Passage], object]) -> None:
        def all_of_them() -> None:
            for passage in list(self._passages):
                if passage.is_at(where) and not passage.client.is_closing():
                    do(passage)

        self._on_loop(all_of_them)

    def _change(self, status: int | None, weather: Weather, where: Where) -> None:
        self._status, self._weather, self._where = status, weather, where
        self._changed.set()
        self._changed = asyncio.Event()

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
        passage = Passage(to_api=address == self._api_address, client=writer)
        self._passages.add(passage)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.partition(b"\r\n")[0].decode())
            if self._status is not None and passage.is_at(self._where):
                self.refused += 1
                writer.write(f"HTTP/1.1 {self._status} Whatever\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
                return
            if (refusal := self._refusal(head)) is not None:
                writer.write(refusal)
                await writer.drain()
                return
            await self._delay(passage)
            host, _, port = address.decode().partition(":")
            far_reader, passage.server = await asyncio.open_connection(host, int(port))
            if b"upgrade: websocket" not in head.lower():
                head = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            passage.server.write(head.replace(self._own[address], address))
            await asyncio.gather(
                self._carry(passage, reader, passage.server), self._answer(passage, far_reader)
            )
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # canceled: by `close`
        finally:
            self._passages.discard(passage)
            for each in (writer, passage.server):
                if each is not None:
                    each.close()

    def _refusal(self, head: bytes) -> bytes | None:
        """Return the answer to a request whose route is refused."""
        path = head.split(b" ", 2)[1].partition(b"?")[0].decode()
        for end, (status, message) in self._routes.items():
            if path.endswith(end):
                body = json.dumps({"statusCode": status, "message": message, "path": path}).encode()
                kind = b"Content-Type: application/json\r\nConnection: close\r\n"
                return b"HTTP/1.1 %d No\r\n%bContent-Length: %d\r\n\r\n%b" % (status, kind, len(body), body)
        return None

    async def _answer(self, passage: Passage, reader: asyncio.StreamReader) -> None:
        """Carry an answer, with the proxy's addresses in place of the server's."""
        head = await reader.readuntil(b"\r\n\r\n")
        if self._weather is Weather.MUTE and passage.is_at(self._where):
            self.refused += 1
            passage.abort()
            return
        length = _LENGTH.search(head)
        if length is not None and b"application/json" in head:
            body = await reader.readexactly(int(length[1]))
            for found in set(_ADDRESS.findall(body)):
                address = b":".join(found)
                body = body.replace(address, await self._listen(address))
            head = _LENGTH.sub(str(len(body)).encode(), head) + body
        await self._pass(passage, head, passage.client)
        await self._carry(passage, reader, passage.client)

    async def _carry(
        self, passage: Passage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry data until an end breaks or closes, and close the other end."""
        try:
            while data := await reader.read(_PIECE):
                await self._pass(passage, data, writer)
        except (OSError, RuntimeError):  # RuntimeError: after `half_close`
            pass
        finally:
            writer.close()

    async def _pass(self, passage: Passage, data: bytes, writer: asyncio.StreamWriter) -> None:
        while data:
            piece = await self._delay(passage, data)
            if passage.dead:
                await asyncio.get_running_loop().create_future()
            writer.write(piece)
            await writer.drain()
            data = data[len(piece) :]

    async def _delay(self, passage: Passage, data: bytes = b"") -> bytes:
        """Wait as the weather wants it; return the part of the data that passes then."""
        while self._weather is Weather.STALL and passage.is_at(self._where):
            await self._changed.wait()
        if passage.is_at(self._where):
            if self._weather is Weather.DELAY:
                await asyncio.sleep(_DELAY_SECONDS)
            elif self._weather is Weather.TRICKLE:
                await asyncio.sleep(_TRICKLE_SECONDS)
                return data[:_TRICKLE_BYTES]
        return data


@contextmanager
def fault_proxy(api_url: str) -> Iterator[FaultProxy]:
    """Run a proxy before the server at an API URL."""
    proxy = FaultProxy(api_url)
    try:
        yield proxy
    finally:
        proxy.close()
