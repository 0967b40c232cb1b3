"""The network: HTTP by httpx and websockets by websockets.

Redirects are not followed, because they would carry the key away. A transport belongs to the process that
created it: a forked child opens new connections. An async transport belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import httpx

from ..known_secrets import redact_record
from .exchange import Body, Response
from .tls import TlsContext
from .transport_errors import CONNECT_SECONDS, refusal, translated, translated_handshake
from .transport_options import USER_AGENT, TransportOptions

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from websockets.asyncio.client import ClientConnection as AsyncWebSocket
    from websockets.sync.client import ClientConnection as WebSocket

# At the level DEBUG, these log requests and answers.
for _name in ("", ".connection", ".http11", ".http2", ".proxy", ".socks"):
    logging.getLogger(f"httpcore{_name}").addFilter(redact_record)
logging.getLogger("httpx").addFilter(redact_record)

# Parsing takes a tenth of the client's time for a request, and a notebook requests few URLs often.
_parse_url = lru_cache(maxsize=64)(httpx.URL)


class Transport:
    """The network of the sync client.

    verify: as in httpx: True, False, or an ssl.SSLContext.
    http: an httpx transport to use instead of the network, for tests; None for the network.
    """

    def __init__(
        self, *, verify: ssl.SSLContext | bool = True, http: httpx.BaseTransport | None = None
    ) -> None:
        self._options = TransportOptions(verify)
        self._http = http
        self._clients: dict[tuple[str, bytes], httpx.Client] = {}
        self._pid = os.getpid()

    def open(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response. The caller reads the body and closes the response.

        Raises DaytonaConnectionError if no response arrives.
        """
        with translated(request.url):
            return self._client(request.url).send(request, stream=True)

    def send(self, request: httpx.Request) -> Response:
        """Send a request and return the whole response.

        Raises DaytonaConnectionError if no response arrives.
        """
        with translated(request.url):
            response = self._client(request.url).send(request)
        return Response(response.status_code, response.headers, response.content)

    def open_websocket(
        self, url: str, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = ()
    ) -> WebSocket:
        """Open a websocket. The schemes `http` and `https` mean `ws` and `wss`.

        Raises DaytonaConnectionError if it cannot be opened, and the exception for the response's
        status if that is not 101.
        """
        from websockets.sync.client import connect

        target = httpx.URL(websocket_url(url))
        options = self._options.websocket(target, headers or {}, subprotocols)
        if options["ssl"] is not None:
            options["ssl"] = TlsContext(options["ssl"])
        with translated_handshake(target):
            opened: WebSocket = connect(
                str(target), create_connection=_sync_connection(), **options
            ).__enter__()  # the caller closes it
        return opened

    def close(self) -> None:
        """Close the idle connections."""
        while self._clients:
            self._clients.popitem()[1].close()

    def _client(self, url: httpx.URL) -> httpx.Client:
        if self._pid != os.getpid():
            self._clients, self._pid = {}, os.getpid()
        key = (url.scheme, url.netloc)
        if key not in self._clients:
            http = self._http or httpx.HTTPTransport(**self._options.http(url))
            self._clients[key] = httpx.Client(transport=http)
        return self._clients[key]


class AsyncTransport:
    """The network of the async client. Its parameters are those of `Transport`."""

    def __init__(
        self, *, verify: ssl.SSLContext | bool = True, http: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._options = TransportOptions(verify)
        self._http = http
        self._clients: dict[tuple[str, bytes], httpx.AsyncClient] = {}
        self._pid = os.getpid()

    async def open(self, request: httpx.Request) -> httpx.Response:
        """See `Transport.open`."""
        with translated(request.url):
            return await self._client(request.url).send(request, stream=True)

    async def send(self, request: httpx.Request) -> Response:
        """See `Transport.send`."""
        with translated(request.url):
            response = await self._client(request.url).send(request)
        return Response(response.status_code, response.headers, response.content)

    async def open_websocket(
        self, url: str, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = ()
    ) -> AsyncWebSocket:
        """See `Transport.open_websocket`."""
        from websockets.asyncio.client import connect

        target = httpx.URL(websocket_url(url))
        options = self._options.websocket(target, headers or {}, subprotocols)
        with translated_handshake(target):
            return await connect(str(target), create_connection=_async_connection(), **options)

    async def aclose(self) -> None:
        """Close the idle connections."""
        while self._clients:
            await self._clients.popitem()[1].aclose()

    def _client(self, url: httpx.URL) -> httpx.AsyncClient:
        if self._pid != os.getpid():
            self._clients, self._pid = {}, os.getpid()
        key = (url.scheme, url.netloc)
        if key not in self._clients:
            http = self._http or httpx.AsyncHTTPTransport(**self._options.http(url))
            self._clients[key] = httpx.AsyncClient(transport=http)
        return self._clients[key]


def build_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    query: Mapping[str, str] | None = None,
    content: bytes | None = None,
    body: Body | None = None,
    request_timeout: float | None = None,
    asynchronous: bool = False,
) -> httpx.Request:
    """Return an httpx request.

    content: the body as JSON text. body: a streamed body. At most one of them is given.
    request_timeout: seconds to wait for each piece of the response; None waits forever.
    asynchronous: whether an async transport sends it.

    Raises DaytonaBadRequestError if the URL is malformed.
    """
    all_headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip, deflate", **headers}
    pieces: Iterable[bytes] | AsyncIterator[bytes] | bytes | None = content
    if content is not None:
        all_headers["Content-Type"] = "application/json"
    if body is not None:
        all_headers |= {"Content-Type": body.content_type, "Content-Length": str(body.length)}
        pieces = _read_in_thread(body) if asynchronous else body.pieces()
    timeouts = {
        "connect": CONNECT_SECONDS,
        "read": request_timeout,
        "write": request_timeout,
        "pool": request_timeout,
    }
    with translated(url):
        target = _parse_url(url)
        if query:
            target = target.copy_merge_params(query)
        return httpx.Request(
            method, target, headers=all_headers, content=pieces, extensions={"timeout": timeouts}
        )


# `connect` follows redirects, and some versions send the headers, with the key, wherever they lead. It sees a
# redirect in the InvalidStatus of a handshake. These connections raise the exceptions of `errors` instead.


@cache
def _sync_connection() -> type[WebSocket]:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import ClientConnection

    class Connection(ClientConnection):
        def handshake(self, *args: Any, **options: Any) -> None:
            try:
                super().handshake(*args, **options)
            except InvalidStatus as exc:
                raise refusal(exc) from exc

    return Connection


@cache
def _async_connection() -> type[AsyncWebSocket]:
    from websockets.asyncio.client import ClientConnection
    from websockets.exceptions import InvalidStatus

    class Connection(ClientConnection):
        async def handshake(self, *args: Any, **options: Any) -> None:
            try:
                await super().handshake(*args, **options)
            except InvalidStatus as exc:
                raise refusal(exc) from exc

    return Connection


def websocket_url(url: str) -> str:
    """Return a URL with `ws` in place of `http`."""
    return "ws" + url.removeprefix("http") if url.startswith("http") else url


def read_pieces(response: httpx.Response) -> Iterator[bytes]:
    """Yield the body of an open response in pieces. Raises DaytonaConnectionError if it breaks off."""
    with translated(response.url):
        yield from response.iter_bytes()


async def aread_pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the body of an open response in pieces. Raises DaytonaConnectionError if it breaks off."""
    with translated(response.url):
        async for piece in response.aiter_bytes():
            yield piece


async def _read_in_thread(body: Body) -> AsyncIterator[bytes]:
    pieces = body.pieces()
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
