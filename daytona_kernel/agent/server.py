"""The agent's websocket. It serves one kernel at a time; see wire.connection.

A kernel that comes while another is connected takes its place: it is the same kernel, whose old
connection is not yet known to be dead.
"""

from __future__ import annotations

import asyncio
import random
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING

from tornado import httpserver, netutil, web, websocket

from ..wire.connection import GREETING_SECONDS, AgentSide, CloseCode, closing
from ..wire.conventions import PREVIEW_PORTS
from ..wire.link import ACKNOWLEDGE_SECONDS
from ..wire.messages import SUBPROTOCOL
from ..wire.schema import ProtocolError

if TYPE_CHECKING:
    from .agent import Agent

# A message is as large as the user's data.
_MESSAGE_BYTES = 1 << 40


class Server:
    """Serves the agent to its kernel.

    secret: the secret that the kernel must send.
    link_id: changes with each agent, so that a kernel cannot resume its link with another agent.
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

    def connect(self, connection: Connection) -> None:
        """Use a connection that has just been greeted, in place of the previous one."""
        if self.connection is not None:
            self.connection.close(CloseCode.REPLACED, "the kernel has opened another connection")
        self.connection = connection

    def _pump(self) -> None:
        if self.connection is not None:
            self.connection.pump()


class Connection(websocket.WebSocketHandler):
    """One websocket from a kernel."""

    def initialize(self, server: Server) -> None:
        """Take the arguments of the route."""
        self._server = server
        self._side = AgentSide(server.agent.link, server.secret, server.link_id)
        self._full = False
        self._writes: set[asyncio.Future[None]] = set()
        self._acknowledgement: asyncio.TimerHandle | None = None

    def prepare(self) -> None:
        """Refuse pages in a browser. Newer tornados do not ask `check_origin` about every page."""
        if not {"Origin", "Sec-Fetch-Site"}.isdisjoint(self.request.headers):
            raise web.HTTPError(HTTPStatus.FORBIDDEN)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Choose Jupyter's framing, if the kernel offers it."""
        return SUBPROTOCOL if SUBPROTOCOL in subprotocols else None

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002  # tornado's signature
        """Refuse pages in a browser, which send an Origin. A kernel sends none, so nobody asks here."""
        return False

    def open(self, *_args: str, **_kwargs: str) -> None:
        """Wait for the greeting."""
        self.set_nodelay(True)
        asyncio.get_running_loop().call_later(GREETING_SECONDS, self._refuse_silence)

    def on_message(self, message: str | bytes) -> None:
        """Take a message of the kernel, or close the connection with a reason."""
        was_greeted = self._side.greeted
        try:
            received = self._side.receive(message)
            if received is not None:
                self._server.agent.from_kernel(received)
        except ProtocolError as error:
            self.close(*closing(error))
            return
        if not was_greeted:
            if self._side.is_new_kernel:
                self._server.agent.take_new_kernel()
            self._server.connect(self)
        if isinstance(message, str):
            self._server.agent.acknowledged()
        if self._side.acknowledgement_owed and self._acknowledgement is None:
            loop = asyncio.get_running_loop()
            self._acknowledgement = loop.call_later(ACKNOWLEDGE_SECONDS, self._acknowledge)
        self.pump()

    def on_close(self) -> None:
        """Forget the connection."""
        if self._server.connection is self:
            self._server.connection = None
        if self._acknowledgement is not None:
            self._acknowledgement.cancel()

    def pump(self) -> None:
        """Send the waiting messages. If the socket is full, continue when it has room."""
        while self._server.connection is self and not self._full:
            data = self._side.outgoing()
            if data is None:
                return
            written = self._send(data)
            if written is None:
                return
            stream = self.ws_connection.stream if self.ws_connection else None
            if stream is not None and stream.writing():
                self._full = True
                written.add_done_callback(self._continue)

    def _send(self, message: bytes | str) -> asyncio.Future[None] | None:
        """Write at once; return None if the connection is gone. The link keeps a packet for the next one."""
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
            written.exception()  # `on_close` handles a connection that has broken

    def _continue(self, _written: asyncio.Future[None]) -> None:
        self._full = False
        self.pump()

    def _acknowledge(self) -> None:
        self._acknowledgement = None
        self._side.acknowledge()
        self.pump()

    def _refuse_silence(self) -> None:
        if not self._side.greeted:
            self.close(CloseCode.REFUSED, "no greeting came")


def _bind() -> socket.socket:
    for port in random.sample(PREVIEW_PORTS, len(PREVIEW_PORTS)):
        try:
            return netutil.bind_sockets(port, "127.0.0.1", family=socket.AF_INET)[0]
        except OSError:
            continue
    first, last = PREVIEW_PORTS[0], PREVIEW_PORTS[-1]
    raise OSError(f"every port from {first} to {last} is taken")
