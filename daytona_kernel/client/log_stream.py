"""A websocket that carries a log: its frames, until the server's close frame.

A log has no messages, so no frame waits for another. And its end is the close frame, not, as with a
websocket of messages, the end of the TCP connection: that is another round trip, and says no more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import DATA_OPCODES, Frame, Opcode

_HELD_BYTES = 1 << 18  # more than this is left to the network: the server then waits


class LogStream(ClientConnection):
    """A websocket of the async client that is read with `receive` alone.

    reason: why the server has closed it; "" where it gave none, None while it is open.
    """

    reason: str | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._frames: deque[bytes] = deque()
        self._held = 0
        self._waiting: asyncio.Future[None] | None = None

    async def receive(self, seconds: float | None) -> bytes:
        """Return a frame's bytes; b"" when none came in time or the stream has ended."""
        if not self._frames and self.reason is None:
            self._waiting = self.loop.create_future()
            timer = None if seconds is None else self.loop.call_later(seconds, self._wake)
            try:
                await self._waiting
            finally:
                self._waiting = None
                if timer is not None:
                    timer.cancel()
        if not self._frames:
            return b""
        frame = self._frames.popleft()
        if self._held > _HELD_BYTES >= self._held - len(frame):
            self.transport.resume_reading()
        self._held -= len(frame)
        return frame

    async def leave(self) -> None:
        """Close the connection, if the server has not begun to; what still comes is dropped."""
        if self.reason is None:
            self.reason = ""
            self.transport.resume_reading()
            await self.close()

    def process_event(self, event: Any) -> None:
        if not isinstance(event, Frame):
            super().process_event(event)
        elif event.opcode in DATA_OPCODES:
            if event.data and self.reason is None:
                self._take(bytes(event.data))
        elif event.opcode is Opcode.CLOSE:
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
        self._end("")

    def _take(self, data: bytes) -> None:
        self._frames.append(data)
        if self._held <= _HELD_BYTES < self._held + len(data):
            self.transport.pause_reading()
        self._held += len(data)
        self._wake()

    def _end(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason
            self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
