"""The iopub socket, on the relay's event loop.

ipykernel gives iopub a thread, so that a cell that blocks the main thread does not block its output. Here
no cell runs in this process, and the relay publishes nearly everything. A thread hop would be the most
expensive part of each message.

zmq keeps a thousand messages for each front end, and drops later ones. Here a burst can be faster than zmq's
own thread, so a full queue makes the loop wait for the front end. One that does not read for two seconds
misses messages until it reads again. zmq leaves its queue out meanwhile. So the next full queue is that of
another front end, and the loop waits for that one, too.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import zmq
from ipykernel.iostream import IOPubThread
from jupyter_client.session import DELIM
from zmq.eventloop.zmqstream import ZMQStream

from ...wire.messages import Message
from ...wire.schema import ProtocolError
from ..event_loop import EventLoop
from .running_cells import RunningCells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipykernel.shellchannel import ShellChannelThread
    from jupyter_client.session import Session

_CLOSING_SECONDS = 2.0
# The front ends of a crashed kernel subscribe again within so many seconds of each other.
_GATHERING_SECONDS = 0.3
# The longest wait for a front end that does not read. For some time after it, the next waits are shorter.
_READING_MILLISECONDS = 2_000
_HURRY_SECONDS = 60.0
_READING_MILLISECONDS_IN_HURRY = 300


class IOPub:
    """The replacement for ipykernel's IOPubThread and its `background_socket`."""

    def __init__(self, socket: zmq.Socket[bytes], thread: ShellChannelThread, session: Session) -> None:
        self.socket: zmq.Socket[bytes] | None = socket
        self.session = session
        self._thread = thread
        self._loop = EventLoop(thread.io_loop.asyncio_loop)
        self._stream = ZMQStream(socket, thread.io_loop)
        self._stream.on_recv(self._welcome)
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.sndtimeo = _READING_MILLISECONDS
        self._hurry_until: float | None = None
        self._waiting: deque[Sequence[Any]] = deque()
        self._subscribed = asyncio.Event()
        self.running_cells = RunningCells()

    def send_multipart(self, frames: Sequence[Any], *_args: Any, **_options: Any) -> None:
        """Publish a message, from any thread."""
        if self._loop.is_running_here:
            self._send(frames)
            return
        self._waiting.append(frames)
        try:
            self._loop.call(self._send_waiting)
        except RuntimeError:
            pass  # the loop has ended; `stop` sends the waiting messages

    async def wait_for_subscribers(self, seconds: float) -> None:
        """Wait until front ends are subscribed. A message that is published before is lost.

        seconds: the longest wait; there may be no front end. This runs on the relay's loop.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._subscribed.wait()
                await asyncio.sleep(_GATHERING_SECONDS)
        except TimeoutError:
            pass

    def start(self) -> None:
        """Do nothing: the shell channel's thread starts the loop."""

    def stop(self) -> None:
        """End the loop's thread, publish the waiting messages, and close the socket."""
        if self.socket is None:
            return
        self._thread.stop()
        self._thread.join(_CLOSING_SECONDS)
        self._send_waiting()
        self.socket.close(linger=1000)
        self.socket = None

    def close(self) -> None:
        """Do the same as `stop`."""
        self.stop()

    def _send_waiting(self) -> None:
        while self._waiting:
            self._send(self._waiting.popleft())

    def _send(self, frames: Sequence[Any]) -> None:
        self._publish(frames)
        # The topic is the message type, and in messages of ipykernel the kernel's id before it.
        if bytes(frames[0]).endswith(b"status"):
            self._repeat_busy(Message("iopub", frames[3:]))

    def _repeat_busy(self, status: Message) -> None:
        """Publish `busy` after an `idle` beside a cell that runs."""
        try:
            parent = self.running_cells.observe(status)
        except ProtocolError:
            return  # the interpreter has sent something else than JSON
        if parent is not None:
            pack = self.session.pack
            header = pack(self.session.msg_header("status"))
            parts = [header, bytes(parent), pack({}), pack({"execution_state": "busy"})]
            self._publish([b"status", DELIM, self.session.sign(parts), *parts])

    def _publish(self, frames: Sequence[Any]) -> None:
        if self.socket is None:
            return
        if self._hurry_until is not None and time.monotonic() >= self._hurry_until:
            self._hurry_until = None
            self.socket.sndtimeo = _READING_MILLISECONDS
        try:
            # zmq copies small parts anyway. It sends a large part without a copy.
            self.socket.send_multipart(frames, copy=False)
        except zmq.Again:
            self._publish_to_readers(self.socket, frames)
        # Sending can consume the event that announces a subscription to the stream.
        if int(self.socket.get(zmq.EVENTS)) & zmq.POLLIN:
            self._welcome(self.socket.recv_multipart())

    def _publish_to_readers(self, socket: zmq.Socket[bytes], frames: Sequence[Any]) -> None:
        """Publish a message to the front ends that read. The others miss it."""
        if self._hurry_until is None:
            self._hurry_until = time.monotonic() + _HURRY_SECONDS
            socket.sndtimeo = _READING_MILLISECONDS_IN_HURRY
        socket.setsockopt(zmq.XPUB_NODROP, 0)
        socket.send_multipart(frames, copy=False)
        socket.setsockopt(zmq.XPUB_NODROP, 1)

    _send_welcome_message = IOPubThread._send_welcome_message  # noqa: SLF001 - the same message, from ipykernel

    def _welcome(self, frames: list[bytes]) -> None:
        for frame in frames:
            if frame[:1] == b"\x01":
                self._subscribed.set()
                self._send_welcome_message(frame[1:].decode("utf-8", "replace"))
