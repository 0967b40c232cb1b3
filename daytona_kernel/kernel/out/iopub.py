"""The iopub socket, on the relay's own loop.

ipykernel gives iopub a thread of its own, so that a cell that holds the main thread cannot hold
its output up. Here no cell runs in this process, nearly everything published comes from the relay,
and the way through another thread would be the dearest part of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import zmq
from ipykernel.iostream import IOPubThread
from zmq.eventloop.zmqstream import ZMQStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipykernel.shellchannel import ShellChannelThread
    from jupyter_client.session import Session

_CLOSING_SECONDS = 2.0


class IOPub:
    """Stands where ipykernel has its IOPubThread, and its `background_socket`."""

    def __init__(self, socket: zmq.Socket[bytes], thread: ShellChannelThread, session: Session) -> None:
        self.socket: zmq.Socket[bytes] | None = socket
        self.session = session
        self._thread = thread
        self._loop: asyncio.AbstractEventLoop = thread.io_loop.asyncio_loop
        self._stream = ZMQStream(socket, thread.io_loop)
        self._stream.on_recv(self._welcome)
        self._waiting: deque[Sequence[Any]] = deque()

    def send_multipart(self, frames: Sequence[Any], *_args: Any, **_options: Any) -> None:
        """Publish a message. May be called from any thread."""
        if running_loop() is self._loop:
            self._send(frames)
            return
        self._waiting.append(frames)
        try:
            self._loop.call_soon_threadsafe(self._send_waiting)
        except RuntimeError:
            pass  # the loop has ended; `stop` sends what waits

    def start(self) -> None:
        """The loop is started by the thread that has it."""

    def stop(self) -> None:
        """End the loop's thread, publish what waits, and close the socket."""
        if self.socket is None:
            return
        self._thread.stop()
        self._thread.join(_CLOSING_SECONDS)
        self._send_waiting()
        self.socket.close(linger=1000)
        self.socket = None

    def close(self) -> None:
        """See `stop`."""
        self.stop()

    def _send_waiting(self) -> None:
        while self._waiting:
            self._send(self._waiting.popleft())

    def _send(self, frames: Sequence[Any]) -> None:
        if self.socket is None:
            return
        # zmq copies small parts all the same; a large one is sent from where it lies.
        self.socket.send_multipart(frames, copy=False)
        # Sending may swallow the edge that announces a subscription to the stream.
        if int(self.socket.get(zmq.EVENTS)) & zmq.POLLIN:
            self._welcome(self.socket.recv_multipart())

    _send_welcome_message = IOPubThread._send_welcome_message

    def _welcome(self, frames: list[bytes]) -> None:
        for frame in frames:
            if frame[:1] == b"\x01":
                self._send_welcome_message(frame[1:].decode("utf-8", "replace"))


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
