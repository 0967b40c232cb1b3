"""The websocket to the agent. It is opened again as often as it breaks, so that the link survives.

A broken connection is a matter of the network until the agent is known to be gone. Then, and when agent
and kernel cannot agree on what comes next, the interpreter is lost. An outage has an end too: an
interpreter that stays out of reach for too long is given up, so that no cell waits for ever.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from .. import known_secrets
from ..errors import (
    DaytonaError,
    InterpreterError,
    InterpreterLostError,
    InterpreterPausedError,
)
from ..wire.connection import GREETING_SECONDS, CloseCode, KernelSide, RefusedError
from ..wire.link import ACKNOWLEDGE_SECONDS, Link
from ..wire.schema import ProtocolError
from .answer_watch import AnswerWatch
from .outage import Outage, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from websockets.asyncio.client import ClientConnection

    from ..wire.messages import Message
    from .bookmark import Bookmark

_BREAKS = (DaytonaError, OSError, ConnectionClosed, InvalidHandshake)
# Seconds between two attempts to connect. The pause doubles with each attempt.
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 5.0
_RESUMING = "The sandbox was paused; it is being resumed."
_PAUSED = "The sandbox was paused. Its processes go on, with all variables, when a cell resumes it."


class Gateway(Protocol):
    """The way to an agent through the API.

    sandbox_answers: whether the sandbox has said to the latest `agent_ended` that the agent runs.
    is_paused: whether the sandbox was paused at the latest `agent_ended`.
    """

    sandbox_answers: bool
    is_paused: bool

    async def open(self) -> ClientConnection:
        """Open a websocket to the agent, at the address that it has now."""
        ...

    async def resume(self) -> None:
        """Resume the paused sandbox. Raises DaytonaError."""
        ...

    async def agent_ended(self) -> str | None:
        """Return a sentence about how the agent ended, or None while it runs or nobody can tell."""
        ...


@dataclass(frozen=True)
class Credentials:
    """What the agent was started with. link: names the agent. secret: lets the kernel in."""

    link: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        known_secrets.add(self.secret)


class Connection:
    """One kernel's connection to one agent. It belongs to the event loop that runs it.

    on_message: called with each message of the agent, in order and once. It may raise ProtocolError and
        InterpreterError, which end `run`.
    on_outage: called with a sentence when the connection breaks, and with None when it is there again.
    waits: returns whether a cell waits for its first answer. Such a cell resumes a paused sandbox.
    bookmark: where a kernel that takes the place of this one finds what it has taken; None for nowhere.
    """

    def __init__(
        self,
        gateway: Gateway,
        credentials: Credentials,
        on_message: Callable[[Message], None],
        on_outage: Callable[[str | None], None] = lambda _reason: None,
        bookmark: Bookmark | None = None,
        waits: Callable[[], bool] = lambda: False,
    ) -> None:
        self._waits = waits
        self._gateway = gateway
        self._credentials = credentials
        self._on_message = on_message
        self._on_outage = on_outage
        self._bookmark = bookmark
        self._started_at = None if bookmark is None else bookmark.begin(credentials.link)
        # The first greeting makes the link: a kernel that takes the place of a crashed one starts in its
        # middle. Messages from before the first greeting wait here.
        self._link: Link | None = None
        self._early: list[Message] = []
        # The greeted connection.
        self._socket: ClientConnection | None = None
        self._side: KernelSide | None = None
        self._pumping = False
        # Greetings without an answer, on connections that broke. Each may still reach the agent.
        self._unanswered = 0
        self._acknowledgement: asyncio.TimerHandle | None = None
        self._watch = AnswerWatch(self._look_after)
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, message: Message) -> None:
        """Send a message, now or as soon as there is a connection. Returns before it has arrived."""
        self.post(message)
        self._watch.sent()
        await self._pump()

    def post(self, message: Message) -> None:
        """Send a message with the next one that is sent, and before it."""
        if self._link is None:
            self._early.append(message)
        else:
            self._link.send(message)

    async def run(self) -> None:
        """Stay connected until canceled.

        Raises InterpreterLostError when the agent is gone, InterpreterPausedError when its sandbox was
        paused, and InterpreterUnreachableError when nothing has reached it for too long.
        """
        try:
            await self._stay_connected()
        finally:
            self._watch.close()
            for task in self._tasks:
                task.cancel()

    async def _stay_connected(self) -> None:
        pause = _FIRST_PAUSE
        outage: Outage | None = None
        while True:
            try:
                if self._gateway.is_paused:
                    await self._gateway.resume()
                async with await self._gateway.open() as socket:
                    await self._greet(socket)
                    pause, outage = _FIRST_PAUSE, None
                    self._on_outage(None)
                    await self._receive(socket)
            except InterpreterError:
                raise
            except _BREAKS as error:
                self._disconnected()
                outage = await self._take_break(error, outage)
                self._on_outage(_RESUMING if self._gateway.is_paused else reason_of(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except RefusedError as error:
                raise InterpreterLostError(f"The kernel refused the connection: {error}.") from error
            except ProtocolError as error:
                raise InterpreterLostError(
                    f"The agent and the kernel disagree about their messages: {error}."
                ) from error
            finally:
                self._disconnected()

    async def _take_break(self, error: Exception, outage: Outage | None) -> Outage:
        """Return the outage that a break begins or goes on with. Raises InterpreterError for an end."""
        if isinstance(error, ConnectionClosed) and self._is_final(error):
            reason = f"The agent refused the connection: {error.rcvd.reason if error.rcvd else ''}."
            raise InterpreterLostError(reason) from error
        ended = await self._gateway.agent_ended()
        if ended is not None:
            raise InterpreterLostError(ended) from error
        if self._gateway.is_paused and not self._is_wanted:
            raise InterpreterPausedError(_PAUSED) from error
        outage = outage or Outage()
        outage.add(error, sandbox_answers=self._gateway.sandbox_answers)
        return outage

    async def _greet(self, socket: ClientConnection) -> None:
        side = KernelSide(self._link, self._credentials.secret, self._credentials.link, self._started_at)
        while (hello := side.outgoing()) is not None:
            self._unanswered += 1
            await socket.send(hello)
        side.receive(await asyncio.wait_for(socket.recv(), GREETING_SECONDS))
        self._unanswered -= 1
        if self._link is None:
            self._link = side.link
            for message in self._early:
                self._link.send(message)
            self._early.clear()
        self._socket, self._side = socket, side
        await self._pump()

    def _is_final(self, closed: ConnectionClosed) -> bool:
        """Return whether the agent has closed the connection, and would close the next one too."""
        code = closed.rcvd.code if closed.rcvd else None
        if code == CloseCode.REPLACED and self._unanswered:
            self._unanswered -= 1  # by an older connection of this kernel, whose greeting came late
            return False
        return code in set(CloseCode)

    async def _receive(self, socket: ClientConnection) -> None:
        side = self._side
        assert side is not None
        while True:
            message = side.receive(await socket.recv())
            self._watch.heard()
            if message is not None:
                if self._bookmark is not None:
                    self._bookmark.set(side.link.received)
                self._on_message(message)
            if not side.acknowledgement_owed:
                await self._pump()  # an acknowledgement that was due waits to be sent
            elif self._acknowledgement is None:
                loop = asyncio.get_running_loop()
                self._acknowledgement = loop.call_later(ACKNOWLEDGE_SECONDS, self._acknowledge)

    async def _pump(self) -> None:
        # One task at a time sends, so that packets leave in order. It also sends what others add meanwhile.
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._socket is not None and self._side is not None:
                data = self._side.outgoing()
                if data is None:
                    return
                await self._socket.send(data)
        except ConnectionClosed:
            pass  # the link sends the packet again over the next connection
        finally:
            self._pumping = False

    def _acknowledge(self) -> None:
        self._acknowledgement = None
        if self._side is not None:
            self._side.acknowledge()
            self._spawn(self._pump())

    @property
    def _is_wanted(self) -> bool:
        """Whether a cell was sent that has not reached the agent."""
        return self._link is not None and not self._link.settled and self._waits()

    def _look_after(self) -> None:
        if self._socket is not None:
            self._spawn(self._break_if_ended(self._socket))

    async def _break_if_ended(self, socket: ClientConnection) -> None:
        """Break a connection whose agent has ended or whose sandbox is paused. `run` finds out the rest."""
        ended = await self._gateway.agent_ended()
        if (ended is not None or self._gateway.is_paused) and self._socket is socket:
            socket.transport.abort()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _disconnected(self) -> None:
        self._socket = self._side = None
        if self._acknowledgement is not None:
            self._acknowledgement.cancel()
            self._acknowledgement = None
