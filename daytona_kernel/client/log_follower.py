"""The two drivers of `FollowProtocol`: an iterator and an async iterator over the chunks of a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import DaytonaError
from .exchange import Response
from .follow_protocol import Close, Deliver, Ended, FollowProtocol, Open, Receive, Source
from .transport import aread_pieces, read_pieces

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

    import httpx
    from websockets.sync.client import ClientConnection as WebSocket

    from ..wire.logs import LogChunk
    from .api import Api, AsyncApi
    from .log_stream import LogStream


class _Followed:
    """What is known of a followed log."""

    def __init__(self, session_id: str, command_id: str, offset: int = 0) -> None:
        self._protocol = FollowProtocol(session_id, command_id, offset)
        self._offset = offset

    @property
    def offset(self) -> int:
        """Position in the raw log from which a new follower goes on after the chunks taken so far."""
        return self._offset

    @property
    def exit_code(self) -> int | None:
        """The command's exit code; None until it is known, which is at the end of the iteration."""
        return self._protocol.exit_code


class LogFollower(_Followed):
    """The chunks of a command's log, as they appear; `close`, or leave `with`, to stop early."""

    def __init__(self, api: Api, session_id: str, command_id: str, offset: int = 0) -> None:
        super().__init__(session_id, command_id, offset)
        self._api = api
        self._stream: WebSocket | None = None
        self._body: tuple[httpx.Response, Iterator[bytes]] | None = None
        self._chunks = self._iterate()

    def __iter__(self) -> Iterator[LogChunk]:
        return self

    def __next__(self) -> LogChunk:
        return next(self._chunks)

    def __enter__(self) -> LogFollower:
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
                answer: Any = None
                try:
                    if isinstance(step, Receive):
                        answer = self._receive(step)
                    elif isinstance(step, Deliver):
                        yield from step.chunks[:-1]
                        self._offset = self._protocol.offset
                        yield from step.chunks[-1:]
                    elif isinstance(step, Open):
                        answer = self._open(step)
                    elif isinstance(step, Close):
                        self._close(step.source)
                    else:
                        answer = self._api.perform(step)
                except DaytonaError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration:
            return
        finally:
            for source in Source:
                self._close(source)

    def _open(self, step: Open) -> Response:
        self._close(step.source)
        if step.source is Source.STREAM:
            self._stream = self._api.open_websocket(step.request)
            return Response(101, {})
        answer = self._api.open(step.request)
        self._body = (answer, read_pieces(answer))
        if not answer.is_success:
            raise Response(answer.status_code, answer.headers, b"".join(self._body[1])).error()
        return Response(answer.status_code, answer.headers)

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
    """The async form of `LogFollower`; `aclose`, or leave `async with`, to stop early."""

    def __init__(self, api: AsyncApi, session_id: str, command_id: str, offset: int = 0) -> None:
        super().__init__(session_id, command_id, offset)
        self._api = api
        self._stream: LogStream | None = None
        self._body: tuple[httpx.Response, AsyncIterator[bytes]] | None = None
        self._chunks = self._iterate()

    def __aiter__(self) -> AsyncIterator[LogChunk]:
        return self

    async def __anext__(self) -> LogChunk:
        return await anext(self._chunks)

    async def __aenter__(self) -> AsyncLogFollower:
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
                answer: Any = None
                try:
                    if isinstance(step, Receive):
                        answer = await self._receive(step)
                    elif isinstance(step, Deliver):
                        for chunk in step.chunks[:-1]:
                            yield chunk
                        self._offset = self._protocol.offset
                        for chunk in step.chunks[-1:]:
                            yield chunk
                    elif isinstance(step, Open):
                        answer = await self._open(step)
                    elif isinstance(step, Close):
                        await self._close(step.source)
                    else:
                        answer = await self._api.perform(step)
                except DaytonaError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration:
            return
        finally:
            for source in Source:
                await self._close(source)

    async def _open(self, step: Open) -> Response:
        await self._close(step.source)
        if step.source is Source.STREAM:
            self._stream = await self._api.open_log_stream(step.request)
            return Response(101, {})
        answer = await self._api.open(step.request)
        self._body = (answer, aread_pieces(answer))
        if not answer.is_success:
            raise Response(
                answer.status_code, answer.headers, b"".join([piece async for piece in self._body[1]])
            ).error()
        return Response(answer.status_code, answer.headers)

    async def _receive(self, step: Receive) -> bytes | Ended | None:
        if step.source is Source.BODY:
            assert self._body is not None
            return await anext(self._body[1], b"")
        assert self._stream is not None
        assert step.seconds is not None
        if piece := await self._stream.receive(step.seconds):
            return piece
        return None if self._stream.reason is None else Ended(self._stream.reason)

    async def _close(self, source: Source) -> None:
        if source is Source.STREAM and self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.leave()
        elif source is Source.BODY and self._body is not None:
            body, self._body = self._body, None
            await body[0].aclose()
