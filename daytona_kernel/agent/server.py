"""The agent's websocket: one kernel at a time, let in by the secret, resumed where it left off.

Binary messages are packets of the link. Text messages are JSON: the kernel opens with
`{"secret", "link", "received"}` (`received` null for "whatever I do not have yet") and has
`{"link", "received", "from"}` back; after that both sides send `{"ack": n}`. A kernel that comes
while another is connected takes its place: it is the same kernel, whose old connection is not yet
known to be dead.
"""

from __future__ import annotations

import asyncio
import hmac
import random
import socket
from typing import Any

from tornado import httpserver, netutil, web, websocket
from tornado.escape import json_encode

from ..wire.link import ACKNOWLEDGE_SECONDS, LinkError
from ..wire.messages import SUBPROTOCOL, FrameError
from ..wire.schema import parse_object
from .agent import Agent

# The ports that Daytona's previews serve.
_PORTS = range(3000, 10000)
_HELLO_SECONDS = 10.0
# A message is as large as the user's data.
_MESSAGE_BYTES = 1 << 40

REFUSED = 4001
LOST = 4002
REPLACED = 4003


class Server:
    """Serves the agent to its kernel.

    secret: what the kernel must show. link_id: changes with each agent, so that a kernel cannot
    resume a conversation with another one.
    """

    def __init__(self, agent: Agent, secret: str, link_id: str) -> None:
        self.agent = agent
        self.secret = secret
        self.link_id = link_id
        self.connection: Connection | None = None
        agent.on_outgoing = self._pump

    def listen(self) -> int:
        """Listen on a free port of localhost that previews serve, and return it."""
        application = web.Application(
            [("/", Connection, {"server": self})], websocket_max_message_size=_MESSAGE_BYTES
        )
        server = httpserver.HTTPServer(application)
        listener = _bind()
        server.add_socket(listener)
        return int(listener.getsockname()[1])

    def _pump(self) -> None:
        if self.connection is not None:
            self.connection.pump()


class Connection(websocket.WebSocketHandler):
    """One websocket from a kernel."""

    def initialize(self, server: Server) -> None:
        self._server = server
        self._link = server.agent.link
        self._greeted = False
        self._full = False
        self._writes: set[asyncio.Future[None]] = set()
        self._acknowledgement: asyncio.TimerHandle | None = None

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return SUBPROTOCOL if SUBPROTOCOL in subprotocols else None

    def check_origin(self, origin: str) -> bool:
        return False  # a kernel sends no Origin; a page in a browser has nothing to do here

    def open(self, *_args: str, **_kwargs: str) -> None:
        self.set_nodelay(True)
        asyncio.get_running_loop().call_later(_HELLO_SECONDS, self._refuse_silence)

    def on_message(self, message: str | bytes) -> None:
        try:
            if isinstance(message, str):
                self._take_text(parse_object(message))
            elif self._greeted:
                self._take_packet(message)
            else:
                self.close(REFUSED, "the secret must come first")
        except (FrameError, LinkError, ValueError) as error:
            self.close(LOST, str(error)[:100])

    def on_close(self) -> None:
        if self._server.connection is self:
            self._server.connection = None
        if self._acknowledgement is not None:
            self._acknowledgement.cancel()

    def pump(self) -> None:
        """Send what the link has, until the socket is full; then wait for it."""
        while self._greeted and not self._full:
            packet = self._link.outgoing()
            if packet is None:
                return
            written = self._send(packet)
            if written is None:
                return
            stream = self.ws_connection.stream if self.ws_connection else None
            if stream is not None and stream.writing():
                self._full = True
                written.add_done_callback(self._go_on)

    def _send(self, message: bytes | str) -> asyncio.Future[None] | None:
        """Write at once; None when the connection is gone: the link keeps a packet for the next one."""
        try:
            written = self.write_message(message, binary=isinstance(message, bytes))
        except websocket.WebSocketClosedError:
            return None
        self._writes.add(written)
        written.add_done_callback(self._written)
        return written

    def _written(self, written: asyncio.Future[None]) -> None:
        self._writes.discard(written)
        if not written.cancelled():
            written.exception()  # a connection that broke meanwhile is told by on_close

    def _go_on(self, _written: asyncio.Future[None]) -> None:
        self._full = False
        self.pump()

    def _take_text(self, text: dict[str, Any]) -> None:
        if "ack" in text and self._greeted:
            self._link.acknowledged(int(text["ack"]))
            self._server.agent.acknowledged()
        elif "secret" in text and not self._greeted:
            self._greet(text)

    def _greet(self, hello: dict[str, Any]) -> None:
        if not hmac.compare_digest(str(hello["secret"]).encode(), self._server.secret.encode()):
            self.close(REFUSED, "the secret is not the one of this agent")
            return
        if hello.get("link") not in (None, self._server.link_id):
            self.close(LOST, "this is another agent")
            return
        received = hello.get("received")
        # A kernel that takes the place of a crashed one does not know how far that one had come.
        begin = self._link.acknowledged_to if received is None else int(received)
        self._link.resume(begin)
        if self._server.connection is not None:
            self._server.connection.close(REPLACED, "the kernel has connected anew")
        self._server.connection = self
        self._greeted = True
        answer = {"link": self._server.link_id, "received": self._link.received, "from": begin}
        self._send(json_encode(answer))
        self.pump()

    def _take_packet(self, packet: bytes) -> None:
        message = self._link.receive(packet)
        if message is not None:
            self._server.agent.from_kernel(message)
        if self._link.acknowledgement_due:
            self._acknowledge()
        elif self._acknowledgement is None:
            loop = asyncio.get_running_loop()
            self._acknowledgement = loop.call_later(ACKNOWLEDGE_SECONDS, self._acknowledge)

    def _acknowledge(self) -> None:
        if self._acknowledgement is not None:
            self._acknowledgement.cancel()
            self._acknowledgement = None
        if self._link.acknowledgement_owed:
            self._send(json_encode({"ack": self._link.acknowledge()}))

    def _refuse_silence(self) -> None:
        if not self._greeted:
            self.close(REFUSED, "no secret came")


def _bind() -> socket.socket:
    for port in random.sample(_PORTS, len(_PORTS)):
        try:
            return netutil.bind_sockets(port, "127.0.0.1", family=socket.AF_INET)[0]
        except OSError:
            continue
    raise OSError("every port from 3000 to 9999 is taken")
