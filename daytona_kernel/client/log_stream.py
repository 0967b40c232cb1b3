"""A websocket that carries a log: its bytes as they come, until the server's close frame.

A log has no messages, so no byte waits for the end of its frame, and data frames pass the library
by: its parser would be a tenth of a line's way. Handshake, pings and all else are the library's. The
end of a log is the close frame, not, as with a websocket of messages, the end of the TCP
connection: that is another round trip, and says no more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from ..wire.frames import FrameSplitter

_HELD_BYTES = 1 << 18  # more than this is left to the network: the server then waits
_BUFFER_BYTES = 1 << 16  # read into again and again: memory for each read costs more than the copy
_RESPONSE_END = b"\r\n\r\n"


class LogStream(ClientConnection, asyncio.BufferedProtocol):
    """A websocket of the async client that is read with `receive` alone.

    reason: why the server has closed it; "" where it gave none, None while it is open.
    """

    reason: str | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._response = b""  # its last bytes
        self._splitter = FrameSplitter()
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._waiting: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def receive(self, seconds: float) -> bytes:
        """Return what has come; b"" when none came in time or the stream has ended."""
        if not self._pieces and self.reason is None:
            self._waiting = self.loop.create_future()
            self._deadline = self.loop.time() + seconds
            if self._timer is None or self._timer.when() > self._deadline:
                self._set_timer()
            try:
                await self._waiting
            finally:
                self._waiting = None
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        if self._held > _HELD_BYTES >= self._held - len(piece):
            self.transport.resume_reading()
        self._held -= len(piece)
        return piece

    async def leave(self) -> None:
        """Close the connection, if the server has not begun to; what still comes is dropped."""
        if self.reason is None:
            self.reason = ""
            self.transport.resume_reading()
            await self.close()

    def get_buffer(self, _size: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, size: int) -> None:
        self.data_received(bytes(self._buffer[:size]))

    def data_received(self, data: bytes) -> None:
        if self.protocol.state is State.CONNECTING:
            data = self._take_response(data)
        for is_data, piece in self._splitter.feed(data):
            if not is_data:
                super().data_received(piece)
            elif self.reason is None:
                self._take(piece)

    def _take_response(self, data: bytes) -> bytes:
        """Give the library its response, and return what stands behind it."""
        known = self._response + data
        end = known.find(_RESPONSE_END)
        size = len(data) if end < 0 else end + len(_RESPONSE_END) - len(self._response)
        self._response = known[-len(_RESPONSE_END) + 1 :]
        super().data_received(data[:size])
        if self.protocol.state is State.CONNECTING:
            super().data_received(data[size:])  # of an answer that refuses
            return b""
        return data[size:]

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
            sent = self.protocol.close_rcvd
            self._end(sent.reason if sent else "")
            self.loop.call_soon(self._answer_close)
        else:
            super().process_event(event)

    def send_data(self) -> None:
        if self.protocol.close_rcvd is None:
            super().send_data()

    def _answer_close(self) -> None:
        """Answer the server's close frame: after the reader, since it may be the server's turn then."""
        super().send_data()
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._cancel_timer()
        self._end("")

    def _take(self, data: bytes) -> None:
        self._pieces.append(data)
        if self._held <= _HELD_BYTES < self._held + len(data):
            self.transport.pause_reading()
        self._held += len(data)
        self._wake()

    def _set_timer(self) -> None:
        """Wake the reader at the deadline. One timer serves many waits, most of which are short."""
        self._cancel_timer()
        self._timer = self.loop.call_at(self._deadline, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer = None
        if self.loop.time() >= self._deadline:
            self._wake()
        elif self._waiting is not None:
            self._set_timer()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason
            self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
