"""The way out: HTTP over httpx, websockets over websockets; and the one place where their errors become ours.

Proxies (HTTPS_PROXY, NO_PROXY, …) and certificate authorities (SSL_CERT_FILE, SSL_CERT_DIR, `verify`)
are taken as httpx takes them, for both; loopback is never proxied. Redirects are not followed: they
would carry the key away. A transport belongs to the process that made it: a forked child opens
connections of its own. An asynchronous one belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
import ssl
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from .._version import __version__
from ..errors import (
    DaytonaBadRequestError,
    DaytonaConnectionError,
    DaytonaConnectionTimeoutError,
    DaytonaError,
)
from .exchange import Body, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping, Sequence

    from websockets.asyncio.client import ClientConnection as AsyncWebSocket
    from websockets.sync.client import ClientConnection as WebSocket

    from .log_stream import LogStream

W = TypeVar("W", bound="AsyncWebSocket")

USER_AGENT = f"daytona-kernel/{__version__}"
_CONNECT_SECONDS = 20.0
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30)

# A command may be silent for an hour: the probes keep its connection known to what lies between,
# and find out when the other end is no more.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 45),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)

# The library logs handshakes with their headers, and a header holds the key.
_silent = logging.getLogger("daytona_kernel.websocket")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
_silent.setLevel(logging.CRITICAL)


class _Routes:
    """What both transports know: which TLS, which proxies, for which URL."""

    def __init__(self, verify: ssl.SSLContext | bool) -> None:
        self._verify = verify
        self._context: ssl.SSLContext | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context; reading the authorities takes 20 ms, so not before they are needed."""
        if self._context is None:
            self._context = httpx.create_ssl_context(verify=self._verify)
        return self._context

    def client_options(self, url: httpx.URL) -> dict[str, Any]:
        """What a client for URLs like this one is made with."""
        # A client for http has a context that trusts nobody.
        context = self.context if url.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return {"verify": context, "trust_env": not _is_loopback(url.host), "limits": _LIMITS}

    def websocket_options(
        self, url: httpx.URL, headers: Mapping[str, str], subprotocols: Sequence[str]
    ) -> dict[str, Any]:
        """What a websocket to this URL is opened with."""
        secure = url.scheme in ("wss", "https")
        return {
            "additional_headers": dict(headers),
            "subprotocols": list(subprotocols) or None,
            "user_agent_header": USER_AGENT,
            "ssl": self.context if secure else None,
            "proxy": None if _is_loopback(url.host) else True,
            "compression": None,
            "max_size": None,
            "open_timeout": _CONNECT_SECONDS,
            "close_timeout": 1,
            "logger": _silent,
        }


class Transport:
    """The way out of the sync client.

    verify: as httpx takes it. http: an httpx transport in the place of the network.
    """

    def __init__(
        self, *, verify: ssl.SSLContext | bool = True, http: httpx.BaseTransport | None = None
    ) -> None:
        self._routes = _Routes(verify)
        self._http = http
        self._clients: dict[tuple[str, bool], httpx.Client] = {}
        self._pid = os.getpid()

    def open(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer, whose body is still to be read, and which is to be closed.

        Raises DaytonaConnectionError when no answer comes.
        """
        with translated(request.url):
            return self._client(request.url).send(request, stream=True)

    def send(self, request: httpx.Request) -> Response:
        """Send a request and return the whole answer; raises DaytonaConnectionError when none comes."""
        with translated(request.url):
            answer = self._client(request.url).send(request)
        return Response(answer.status_code, answer.headers, answer.content)

    def open_websocket(
        self, url: str, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = ()
    ) -> WebSocket:
        """Open a websocket. An `http` URL is taken as `ws`.

        Raises DaytonaConnectionError when it cannot be opened, and the exception that the answer
        means when it is another one than 101.
        """
        from websockets.sync.client import connect

        target = httpx.URL(websocket_url(url))
        options = self._routes.websocket_options(target, headers or {}, subprotocols)
        with _translated_handshake(target):
            opened: WebSocket = connect(str(target), **options).__enter__()  # its owner closes it
        return opened

    def close(self) -> None:
        """Close the connections that are kept open."""
        while self._clients:
            self._clients.popitem()[1].close()

    def _client(self, url: httpx.URL) -> httpx.Client:
        if self._pid != os.getpid():
            self._clients, self._pid = {}, os.getpid()
        key = (url.scheme, _is_loopback(url.host))
        if key not in self._clients:
            self._clients[key] = httpx.Client(transport=self._http, **self._routes.client_options(url))
        return self._clients[key]


class AsyncTransport:
    """The way out of the async client; its parameters are those of `Transport`."""

    def __init__(
        self, *, verify: ssl.SSLContext | bool = True, http: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._routes = _Routes(verify)
        self._http = http
        self._clients: dict[tuple[str, bool], httpx.AsyncClient] = {}
        self._pid = os.getpid()

    async def open(self, request: httpx.Request) -> httpx.Response:
        """As `Transport.open`."""
        with translated(request.url):
            return await self._client(request.url).send(request, stream=True)

    async def send(self, request: httpx.Request) -> Response:
        """As `Transport.send`."""
        with translated(request.url):
            answer = await self._client(request.url).send(request)
        return Response(answer.status_code, answer.headers, answer.content)

    async def open_websocket(
        self, url: str, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = ()
    ) -> AsyncWebSocket:
        """As `Transport.open_websocket`."""
        from websockets.asyncio.client import ClientConnection

        return await self._connect(ClientConnection, url, headers or {}, subprotocols)

    async def open_log_stream(self, url: str, headers: Mapping[str, str]) -> LogStream:
        """Open the websocket of a log; raises as `Transport.open_websocket`."""
        from .log_stream import LogStream

        return await self._connect(LogStream, url, headers)

    async def _connect(
        self, kind: type[W], url: str, headers: Mapping[str, str], subprotocols: Sequence[str] = ()
    ) -> W:
        from websockets.asyncio.client import connect

        target = httpx.URL(websocket_url(url))
        options = self._routes.websocket_options(target, headers, subprotocols)
        with _translated_handshake(target):
            opened = await connect(str(target), create_connection=kind, **options)
        return cast("W", opened)

    async def aclose(self) -> None:
        """Close the connections that are kept open."""
        while self._clients:
            await self._clients.popitem()[1].aclose()

    def _client(self, url: httpx.URL) -> httpx.AsyncClient:
        if self._pid != os.getpid():
            self._clients, self._pid = {}, os.getpid()
        key = (url.scheme, _is_loopback(url.host))
        if key not in self._clients:
            self._clients[key] = httpx.AsyncClient(transport=self._http, **self._routes.client_options(url))
        return self._clients[key]


def build_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    query: Mapping[str, str] | None = None,
    content: bytes | None = None,
    body: Body | None = None,
    patience: float | None = None,
    asynchronous: bool = False,
) -> httpx.Request:
    """Return the httpx request for these.

    patience: seconds to wait for each piece of the answer; None for ever.
    """
    everything = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip, deflate", **headers}
    pieces: Iterable[bytes] | AsyncIterator[bytes] | bytes | None = content
    if content is not None:
        everything["Content-Type"] = "application/json"
    if body is not None:
        everything |= {"Content-Type": body.content_type, "Content-Length": str(body.length)}
        pieces = _read_in_thread(body) if asynchronous else body.pieces()
    waits = {"connect": _CONNECT_SECONDS, "read": patience, "write": patience, "pool": patience}
    extensions: dict[str, Any] = {"timeout": waits}
    with translated(url):
        target = _parse_url(url)
        if query:
            target = target.copy_merge_params(query)
        if not _is_loopback(target.host):
            # On loopback nothing lies between, and httpx asks a dozen times a call.
            extensions["trace"] = _keep_alive_async if asynchronous else _keep_alive
        return httpx.Request(method, target, headers=everything, content=pieces, extensions=extensions)


# A tenth of what the client does for a call, and a notebook calls few of them again and again.
_parse_url = lru_cache(maxsize=64)(httpx.URL)


def websocket_url(url: str) -> str:
    """Return the same URL with `ws` for `http`."""
    return "ws" + url.removeprefix("http") if url.startswith("http") else url


@contextmanager
def translated(url: httpx.URL | str) -> Generator[None, None, None]:
    """Turn what httpx raises into the exceptions of `errors`."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as exc:
        raise _http_error(exc, url) from exc


@contextmanager
def _translated_handshake(url: httpx.URL) -> Generator[None, None, None]:
    """Turn what websockets raises while it connects into the exceptions of `errors`."""
    from websockets.exceptions import InvalidStatus, WebSocketException

    try:
        yield
    except InvalidStatus as exc:
        answer = exc.response
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        raise Response(answer.status_code, headers, bytes(answer.body or b"")).error() from exc
    except WebSocketException as exc:
        raise DaytonaConnectionError(
            f"No websocket to {_place(url)} could be opened ({_reason(exc)}).", may_have_arrived=True
        ) from exc
    except OSError as exc:  # TimeoutError is one
        raise _unreachable(exc, url) from exc


def read_pieces(answer: httpx.Response) -> Iterator[bytes]:
    """Read an answer's body piece by piece."""
    with translated(answer.url):
        yield from answer.iter_bytes()


async def aread_pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Read an answer's body piece by piece."""
    with translated(answer.url):
        async for piece in answer.aiter_bytes():
            yield piece


def _http_error(exc: Exception, url: httpx.URL | str) -> DaytonaError:
    place = _place(url)
    if isinstance(exc, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
        return DaytonaBadRequestError(f"{place} cannot be asked ({exc}); check DAYTONA_API_URL.")
    if isinstance(exc, httpx.ConnectTimeout | httpx.PoolTimeout):
        return DaytonaConnectionTimeoutError(
            f"No connection to {place} within {_CONNECT_SECONDS:g} s; {_ADVICE}"
        )
    if isinstance(exc, httpx.TimeoutException):
        return DaytonaConnectionTimeoutError(
            f"{place} did not answer in the time that this client waits (request_timeout). "
            "What was asked for may go on there.",
            may_have_arrived=True,
        )
    if isinstance(exc, httpx.ConnectError | httpx.ProxyError):
        return _unreachable(exc, url)
    return DaytonaConnectionError(
        f"The connection to {place} broke before the answer was complete ({_reason(exc)}).",
        may_have_arrived=True,
    )


def _unreachable(exc: Exception, url: httpx.URL | str) -> DaytonaConnectionError:
    reason = _reason(exc)
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return DaytonaConnectionError(
            f"The certificate of {_place(url)} is not one that this machine trusts ({reason}); "
            "SSL_CERT_FILE can name the authority that signed it.",
            permanent=True,
        )
    return DaytonaConnectionError(f"No server answers at {_place(url)} ({reason}); {_ADVICE}")


_ADVICE = "check DAYTONA_API_URL, the network and the proxy settings."


def _reason(exc: Exception) -> str:
    return str(exc) or type(exc).__name__


def _place(url: httpx.URL | str) -> str:
    """The server that a URL names, without what may be private in it."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "That URL"
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"


@lru_cache(maxsize=64)
def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _read_in_thread(body: Body) -> AsyncIterator[bytes]:
    pieces = body.pieces()
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


def _keep_alive(event: str, info: dict[str, Any]) -> None:
    if event.endswith("connect_tcp.complete"):
        connection = info["return_value"].get_extra_info("socket")
        for option in _KEEPALIVE:
            connection.setsockopt(*option)


async def _keep_alive_async(event: str, info: dict[str, Any]) -> None:
    _keep_alive(event, info)
