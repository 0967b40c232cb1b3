"""The drivers of exchanges, one sync and one async: they carry out each step and send back its outcome."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, TypeVar

import httpx

from ..errors import DaytonaError
from ..known_secrets import without_credentials
from .destinations import require_tls, require_trusted
from .exchange import Exchange, Request, RequestTimeout, Response, Sleep, Step
from .transport import AsyncTransport, Transport, aread_pieces, build_request, read_pieces, websocket_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from websockets.asyncio.client import ClientConnection as AsyncWebSocket
    from websockets.sync.client import ClientConnection as WebSocket

T = TypeVar("T")


class _Address:
    """A URL that requests are relative to, and the headers that authorize them.

    request_timeout: seconds to wait for an answer to a request that sets no timeout; None waits forever.
    named_by: the URL of the API that named this address; None for the API's own.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], request_timeout: float | None, named_by: str | None
    ) -> None:
        self.url = url.rstrip("/")
        self.named_by = named_by
        self.request_timeout = request_timeout
        self._headers = {**headers, "X-Daytona-Source": "daytona-kernel"}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({without_credentials(self.url)!r})"

    def headers_for(self, url: str) -> dict[str, str]:
        """Return the authorizing headers if a URL is below this address, and no headers otherwise.

        Raises DaytonaConnectionError if nothing may be sent there.
        """
        require_tls(self.named_by or self.url, url)
        known = websocket_url(self.url) + "/"
        return self._authorization() if websocket_url(url).startswith(known) else {}

    def _authorization(self) -> dict[str, str]:
        if self.named_by is not None:
            require_trusted(self.named_by, self.url)
        return dict(self._headers)

    def _build(self, request: Request, *, asynchronous: bool = False) -> httpx.Request:
        request_timeout = request.request_timeout
        if isinstance(request_timeout, RequestTimeout):
            request_timeout = self.request_timeout
        return build_request(
            request.operation.method,
            self.url + request.path,
            {**self._authorization(), **request.headers},
            query=request.query,
            content=None if request.json is None else json.dumps(request.json).encode(),
            body=request.body,
            request_timeout=request_timeout,
            asynchronous=asynchronous,
        )

    def _handshake(self, request: Request) -> tuple[str, dict[str, str]]:
        url = str(httpx.URL(self.url + request.path, params=dict(request.query)))
        return url, {**self._authorization(), **request.headers}


class Api(_Address):
    """The driver of the sync client.

    url: the address of the control plane or of a toolbox. headers: sent with each request.
    request_timeout: seconds to wait for an answer to a request that sets no timeout; None waits forever.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        transport: Transport,
        request_timeout: float | None = None,
        named_by: str | None = None,
    ) -> None:
        super().__init__(url, headers, request_timeout, named_by)
        self.transport = transport

    def at(self, url: str) -> Api:
        """Return a driver for another URL, with the same key and transport."""
        return Api(url, self._headers, self.transport, self.request_timeout, self.url)

    def run(self, exchange: Exchange[T]) -> T:
        """Carry out an exchange and return its result."""
        outcome: Response | None = None
        try:
            step = next(exchange)
            while True:
                try:
                    outcome = self.perform(step)
                except DaytonaError as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    def perform(self, step: Step) -> Response | None:
        """Carry out one step of an exchange and return its outcome."""
        if isinstance(step, Sleep):
            time.sleep(step.seconds)
            return None
        if step.sink is None:
            return self.transport.send(self._build(step))
        response = self.open(step)
        try:
            if not response.is_success:
                return Response(response.status_code, response.headers, b"".join(read_pieces(response)))
            for piece in read_pieces(response):
                step.sink.write(piece)
            return Response(response.status_code, response.headers)
        finally:
            response.close()

    def open(self, request: Request) -> httpx.Response:
        """Send a request. The caller reads the response's body in pieces and closes the response."""
        return self.transport.open(self._build(request))

    def open_websocket(self, request: Request, subprotocols: Sequence[str] = ()) -> WebSocket:
        """Open a websocket with a request. The caller closes it."""
        url, headers = self._handshake(request)
        return self.transport.open_websocket(url, headers, subprotocols)


class AsyncApi(_Address):
    """The driver of the async client. Its parameters are those of `Api`."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        transport: AsyncTransport,
        request_timeout: float | None = None,
        named_by: str | None = None,
    ) -> None:
        super().__init__(url, headers, request_timeout, named_by)
        self.transport = transport

    def at(self, url: str) -> AsyncApi:
        """Return a driver for another URL, with the same key and transport."""
        return AsyncApi(url, self._headers, self.transport, self.request_timeout, self.url)

    async def run(self, exchange: Exchange[T]) -> T:
        """Carry out an exchange and return its result."""
        outcome: Response | None = None
        try:
            step = next(exchange)
            while True:
                try:
                    outcome = await self.perform(step)
                except DaytonaError as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    async def perform(self, step: Step) -> Response | None:
        """Carry out one step of an exchange and return its outcome."""
        if isinstance(step, Sleep):
            await asyncio.sleep(step.seconds)
            return None
        if step.sink is None:
            return await self.transport.send(self._build(step, asynchronous=True))
        response = await self.open(step)
        try:
            if not response.is_success:
                body = b"".join([piece async for piece in aread_pieces(response)])
                return Response(response.status_code, response.headers, body)
            async for piece in aread_pieces(response):
                await asyncio.to_thread(step.sink.write, piece)
            return Response(response.status_code, response.headers)
        finally:
            await response.aclose()

    async def open(self, request: Request) -> httpx.Response:
        """Send a request. The caller reads the response's body in pieces and closes the response."""
        return await self.transport.open(self._build(request, asynchronous=True))

    async def open_websocket(self, request: Request, subprotocols: Sequence[str] = ()) -> AsyncWebSocket:
        """Open a websocket with a request. The caller closes it."""
        url, headers = self._handshake(request)
        return await self.transport.open_websocket(url, headers, subprotocols)


ToolboxApi = Api
AsyncToolboxApi = AsyncApi
