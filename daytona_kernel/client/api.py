"""The two drivers of a call: they do what it yields, and tell it what came of it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, TypeVar

import httpx

from ..errors import DaytonaError
from .exchange import Exchange, Patience, Request, Response, Sleep, Step
from .transport import AsyncTransport, Transport, aread_pieces, build_request, read_pieces, websocket_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from websockets.sync.client import ClientConnection as WebSocket

    from .log_stream import LogStream

T = TypeVar("T")


class _Address:
    """Whom requests go to, and in whose name.

    url: what paths are relative to. headers: those of every request. patience: seconds to wait for
    an answer where a request does not say, None for ever.
    """

    def __init__(self, url: str, headers: Mapping[str, str], patience: float | None) -> None:
        self.url = url.rstrip("/")
        self.patience = patience
        self._headers = {**headers, "X-Daytona-Source": "daytona-kernel"}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def headers_for(self, url: str) -> dict[str, str]:
        """The headers that a URL may be asked with: the key is for this address only."""
        known = websocket_url(self.url) + "/"
        return dict(self._headers) if websocket_url(url).startswith(known) else {}

    def _build(self, request: Request, *, asynchronous: bool = False) -> httpx.Request:
        patience = request.patience
        if isinstance(patience, Patience):
            patience = self.patience if patience is Patience.SETTINGS else None
        return build_request(
            request.operation.method,
            self.url + request.path,
            {**self._headers, **request.headers},
            query=request.query,
            content=None if request.json is None else json.dumps(request.json).encode(),
            body=request.body,
            patience=patience,
            asynchronous=asynchronous,
        )

    def _handshake(self, request: Request) -> tuple[str, dict[str, str]]:
        url = str(httpx.URL(self.url + request.path, params=dict(request.query)))
        return url, {**self._headers, **request.headers}


class Api(_Address):
    """The driver of the sync client."""

    def __init__(
        self, url: str, headers: Mapping[str, str], transport: Transport, patience: float | None = None
    ) -> None:
        super().__init__(url, headers, patience)
        self.transport = transport

    def at(self, url: str) -> Api:
        """Return a driver for another URL, with the same key and transport."""
        return Api(url, self._headers, self.transport, self.patience)

    def run(self, call: Exchange[T]) -> T:
        """Carry out a call and return its result."""
        answer: Response | None = None
        try:
            step = next(call)
            while True:
                try:
                    answer = self.perform(step)
                except DaytonaError as error:
                    step = call.throw(error)
                else:
                    step = call.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    def perform(self, step: Step) -> Response | None:
        """Do one thing that a call asks for."""
        if isinstance(step, Sleep):
            time.sleep(step.seconds)
            return None
        if step.sink is None:
            return self.transport.send(self._build(step))
        answer = self.open(step)
        try:
            if not answer.is_success:
                return Response(answer.status_code, answer.headers, b"".join(read_pieces(answer)))
            for piece in read_pieces(answer):
                step.sink.write(piece)
            return Response(answer.status_code, answer.headers)
        finally:
            answer.close()

    def open(self, request: Request) -> httpx.Response:
        """Send a request whose answer is read piece by piece, and closed, by the caller."""
        return self.transport.open(self._build(request))

    def open_websocket(self, request: Request, subprotocols: Sequence[str] = ()) -> WebSocket:
        """Open the websocket that a request asks for."""
        url, headers = self._handshake(request)
        return self.transport.open_websocket(url, headers, subprotocols)


class AsyncApi(_Address):
    """The driver of the async client."""

    def __init__(
        self, url: str, headers: Mapping[str, str], transport: AsyncTransport, patience: float | None = None
    ) -> None:
        super().__init__(url, headers, patience)
        self.transport = transport

    def at(self, url: str) -> AsyncApi:
        """Return a driver for another URL, with the same key and transport."""
        return AsyncApi(url, self._headers, self.transport, self.patience)

    async def run(self, call: Exchange[T]) -> T:
        """Carry out a call and return its result."""
        answer: Response | None = None
        try:
            step = next(call)
            while True:
                try:
                    answer = await self.perform(step)
                except DaytonaError as error:
                    step = call.throw(error)
                else:
                    step = call.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def perform(self, step: Step) -> Response | None:
        """Do one thing that a call asks for."""
        if isinstance(step, Sleep):
            await asyncio.sleep(step.seconds)
            return None
        if step.sink is None:
            return await self.transport.send(self._build(step, asynchronous=True))
        answer = await self.open(step)
        try:
            if not answer.is_success:
                body = b"".join([piece async for piece in aread_pieces(answer)])
                return Response(answer.status_code, answer.headers, body)
            async for piece in aread_pieces(answer):
                await asyncio.to_thread(step.sink.write, piece)
            return Response(answer.status_code, answer.headers)
        finally:
            await answer.aclose()

    async def open(self, request: Request) -> httpx.Response:
        """Send a request whose answer is read piece by piece, and closed, by the caller."""
        return await self.transport.open(self._build(request, asynchronous=True))

    async def open_log_stream(self, request: Request) -> LogStream:
        """Open the websocket of the log that a request asks for."""
        return await self.transport.open_log_stream(*self._handshake(request))


ToolboxApi = Api
AsyncToolboxApi = AsyncApi
