"""The drivers of `FollowProtocol`: an iterator and an async iterator over the chunks of a log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..errors import DaytonaError
from .exchange import Response
from .follow_protocol import FollowProtocol
from .follow_steps import Close, Deliver, Ended, FollowTimings, Open, Receive, Source
from .transport import aread_pieces, read_pieces

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
    from typing import Self

    import httpx
    from websockets.asyncio.client import ClientConnection as AsyncWebSocket
    from websockets.sync.client import ClientConnection as WebSocket

    from ..wire.logs import LogChunk
    from .api import Api, AsyncApi
    from .exchange import Step as ApiStep


class _Followed:
    """The position and the exit code of a followed log."""

    def __init__(self, session_id: str, command_id: str, offset: int, timings: FollowTimings | None) -> None:
        self._protocol = FollowProtocol(session_id, command_id, offset, timings)
        self._offset = offset

    @property
    def offset(self) -> int:
        """The position in the raw log after the chunks taken so far. A new follower can start here."""
        return self._offset

    @property
    def exit_code(self) -> int | None:
        """The command's exit code; None until the iteration ends."""
        return self._protocol.exit_code

    def give_up(self) -> None:
        """End the iteration after the log so far: the command will get no exit code."""
        self._protocol.given_up = True


def _handshake(stream: WebSocket | AsyncWebSocket) -> Response:
    """Return the response that opened a websocket."""
    if stream.response is None:  # the server has closed it again in the same packet
        return Response(101, {})
    headers = stream.response.headers.raw_items()
    return Response(101, {name.lower(): value for name, value in headers})


class LogFollower(_Followed):
    """An iterator over the chunks of a command's log as the log grows. `close` or `with` stops it early.

    api: the driver for the sandbox's toolbox.
    offset: the position in the raw log to start at. timings: None for the usual ones.
    """

    def __init__(
        self,
        api: Api,
        session_id: str,
        command_id: str,
        offset: int = 0,
        timings: FollowTimings | None = None,
    ) -> None:
        super().__init__(session_id, command_id, offset, timings)
        self._api = api
        self._stream: WebSocket | None = None
        self._body: tuple[httpx.Response, Iterator[bytes]] | None = None
        self._chunks = self._iterate()

    def __iter__(self) -> Iterator[LogChunk]:
        return self

    def __next__(self) -> LogChunk:
        return next(self._chunks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop following."""
        self._chunks.close()

    def _iterate(self) -> Generator[LogChunk, None, None]:
        steps = self._protocol.run()
        try:
            step = next(steps)
            while True:
                outcome: Any = None
                try:
                    if isinstance(step, Deliver):
                        yield from step.chunks[:-1]
                        self._offset = self._protocol.offset
                        yield from step.chunks[-1:]
                    else:
                        outcome = self._perform(step)
                except DaytonaError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration:
            return
        finally:
            for source in Source:
                self._close(source)

    def _perform(self, step: Receive | Open | Close | ApiStep) -> Any:
        if isinstance(step, Receive):
            return self._receive(step)
        if isinstance(step, Open):
            return self._open(step)
        if isinstance(step, Close):
            return self._close(step.source)
        return self._api.perform(step)

    def _open(self, step: Open) -> Response:
        self._close(step.source)
        if step.source is Source.STREAM:
            self._stream = self._api.open_websocket(step.request)
            return _handshake(self._stream)
        response = self._api.open(step.request)
        self._body = (response, read_pieces(response))
        if not response.is_success:
            raise Response(response.status_code, response.headers, b"".join(self._body[1])).error()
        return Response(response.status_code, response.headers)

    def _receive(self, step: Receive) -> bytes | Ended | None:
        if step.source is Source.BODY:
            assert self._body is not None
            return next(self._body[1], b"")
        from websockets.exceptions import ConnectionClosed

        assert self._stream is not None
        try:
            while not (piece := self._stream.recv(step.seconds, decode=False)):
                pass
        except TimeoutError:
            return None
        except ConnectionClosed as closed:
            return Ended(closed.rcvd.reason if closed.rcvd else "")
        return piece

    def _close(self, source: Source) -> None:
        if source is Source.STREAM and self._stream is not None:
            self._stream.close()
            self._stream = None
        elif source is Source.BODY and self._body is not None:
            self._body[0].close()
            self._body = None


class AsyncLogFollower(_Followed):
    """The async form of `LogFollower`. `aclose` or `async with` stops it early."""

    def __init__(
        self,
        api: AsyncApi,
        session_id: str,
        command_id: str,
        offset: int = 0,
        timings: FollowTimings | None = None,
    ) -> None:
        super().__init__(session_id, command_id, offset, timings)
        self._api = api
        self._stream: AsyncWebSocket | None = None
        self._body: tuple[httpx.Response, AsyncIterator[bytes]] | None = None
        self._chunks = self._iterate()

    def __aiter__(self) -> AsyncIterator[LogChunk]:
        return self

    async def __anext__(self) -> LogChunk:
        return await anext(self._chunks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop following."""
        await self._chunks.aclose()

    async def _iterate(self) -> AsyncGenerator[LogChunk, None]:
        steps = self._protocol.run()
        try:
            step = next(steps)
            while True:
                outcome: Any = None
                try:
                    if isinstance(step, Deliver):
                        for chunk in step.chunks[:-1]:
                            yield chunk
                        self._offset = self._protocol.offset
                        for chunk in step.chunks[-1:]:
                            yield chunk
                    else:
                        outcome = await self._perform(step)
                except DaytonaError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(outcome)
        except StopIteration:
            return
        finally:
            for source in Source:
                await self._close(source)

    async def _perform(self, step: Receive | Open | Close | ApiStep) -> Any:
        if isinstance(step, Receive):
            return await self._receive(step)
        if isinstance(step, Open):
            return await self._open(step)
        if isinstance(step, Close):
            return await self._close(step.source)
        return await self._api.perform(step)

    async def _open(self, step: Open) -> Response:
        await self._close(step.source)
        if step.source is Source.STREAM:
            self._stream = await self._api.open_websocket(step.request)
            return _handshake(self._stream)
        response = await self._api.open(step.request)
        self._body = (response, aread_pieces(response))
        if not response.is_success:
            body = b"".join([piece async for piece in self._body[1]])
            raise Response(response.status_code, response.headers, body).error()
        return Response(response.status_code, response.headers)

    async def _receive(self, step: Receive) -> bytes | Ended | None:
        if step.source is Source.BODY:
            assert self._body is not None
            return await anext(self._body[1], b"")
        from websockets.exceptions import ConnectionClosed

        assert self._stream is not None
        try:
            async with asyncio.timeout(step.seconds):
                while not (piece := await self._stream.recv(decode=False)):
                    pass
        except TimeoutError:
            return None
        except ConnectionClosed as closed:
            return Ended(closed.rcvd.reason if closed.rcvd else "")
        return piece

    async def _close(self, source: Source) -> None:
        if source is Source.STREAM and self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.close()
        elif source is Source.BODY and self._body is not None:
            body, self._body = self._body, None
            await body[0].aclose()
