"""The websocket to the agent, made anew as often as it breaks, so that the link never does.

A connection that breaks is a matter of the network until the agent is known to be gone: then,
and when agent and kernel cannot agree on what comes next, the connection is lost for good.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from ..errors import DaytonaConnectionError, DaytonaNotFoundError, InterpreterLostError
from ..wire.link import ACKNOWLEDGE_SECONDS, Link, LinkError
from ..wire.messages import FrameError, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.client import ClientConnection

# The agent's close codes after which a new connection would end the same way.
_FINAL_CODES = (4001, 4002, 4003)
_HELLO_SECONDS = 10.0
_BREAKS = (DaytonaConnectionError, DaytonaNotFoundError, OSError, ConnectionClosed, InvalidHandshake)
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 5.0


class Gateway(Protocol):
    """The way to an agent, which only the API knows."""

    async def open(self) -> ClientConnection:
        """Open a websocket to the agent; the address is asked for anew each time."""
        ...

    async def agent_ended(self) -> str | None:
        """Return how the agent ended, or None while it runs or nobody can tell."""
        ...


@dataclass(frozen=True)
class Credentials:
    """What the agent was started with. `link` names the agent, `secret` opens it."""

    link: str
    secret: str

    def __repr__(self) -> str:
        return f"Credentials(link={self.link!r})"


class Connection:
    """One kernel's connection to one agent. It belongs to the event loop that runs it.

    on_message: called with each message of the agent, in order and once.
    """

    def __init__(
        self,
        gateway: Gateway,
        credentials: Credentials,
        on_message: Callable[[Message], None],
    ) -> None:
        self._gateway = gateway
        self._credentials = credentials
        self._on_message = on_message
        # Made when the agent has said where the link stands: a kernel that takes the place of a
        # crashed one goes on in the middle. What is sent before waits here.
        self._link: Link | None = None
        self._early: list[Message] = []
        self._socket: ClientConnection | None = None
        self._pumping = False
        self._acknowledgement: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, message: Message) -> None:
        """Send a message, now or as soon as there is a connection. Returns before it has arrived."""
        if self._link is None:
            self._early.append(message)
        else:
            self._link.send(message)
            await self._pump()

    async def run(self) -> None:
        """Stay connected until cancelled. Raises InterpreterLostError when the agent is gone."""
        pause = _FIRST_PAUSE
        while True:
            try:
                async with await self._gateway.open() as socket:
                    await self._greet(socket)
                    pause = _FIRST_PAUSE
                    await self._receive(socket)
            except _BREAKS as error:
                self._disconnected()
                code = error.rcvd.code if isinstance(error, ConnectionClosed) and error.rcvd else None
                if code in _FINAL_CODES:
                    raise InterpreterLostError(f"The agent refused the connection: {error}") from error
                ended = await self._gateway.agent_ended()
                if ended is not None:
                    raise InterpreterLostError(ended) from error
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except (LinkError, FrameError) as error:
                raise InterpreterLostError(f"The agent and the kernel lost track: {error}") from error
            finally:
                self._disconnected()

    async def _greet(self, socket: ClientConnection) -> None:
        hello = {
            "secret": self._credentials.secret,
            "link": self._credentials.link,
            "received": None if self._link is None else self._link.received,
        }
        await socket.send(json.dumps(hello))
        answer = _parse(await asyncio.wait_for(socket.recv(), _HELLO_SECONDS))
        if self._link is None:
            self._link = Link(sent=int(answer["received"]), received=int(answer["from"]))
            for message in self._early:
                self._link.send(message)
            self._early.clear()
        else:
            self._link.resume(int(answer["received"]))
        self._socket = socket
        await self._pump()

    async def _receive(self, socket: ClientConnection) -> None:
        assert self._link is not None
        while True:
            data = await socket.recv()
            if isinstance(data, str):
                text = _parse(data)
                if "ack" in text:
                    self._link.acknowledged(int(text["ack"]))
                continue
            message = self._link.receive(data)
            if message is not None:
                self._on_message(message)
            if self._link.acknowledgement_due:
                await self._acknowledge()
            elif self._acknowledgement is None:
                loop = asyncio.get_running_loop()
                self._acknowledgement = loop.call_later(ACKNOWLEDGE_SECONDS, self._acknowledge_later)

    async def _pump(self) -> None:
        # One at a time, so that packets leave in order; who comes meanwhile leaves theirs to it.
        if self._pumping:
            return
        self._pumping = True
        try:
            assert self._link is not None
            while self._socket is not None and (packet := self._link.outgoing()) is not None:
                await self._socket.send(packet)
        except ConnectionClosed:
            pass  # the link keeps it for the next connection
        finally:
            self._pumping = False

    async def _acknowledge(self) -> None:
        if self._acknowledgement is not None:
            self._acknowledgement.cancel()
            self._acknowledgement = None
        if self._socket is not None and self._link is not None and self._link.acknowledgement_owed:
            try:
                await self._socket.send(json.dumps({"ack": self._link.acknowledge()}))
            except ConnectionClosed:
                pass

    def _acknowledge_later(self) -> None:
        self._acknowledgement = None
        task = asyncio.ensure_future(self._acknowledge())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _disconnected(self) -> None:
        self._socket = None
        if self._acknowledgement is not None:
            self._acknowledgement.cancel()
            self._acknowledgement = None


def _parse(text: str | bytes) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise FrameError("a text message is not a JSON object")
    return value
