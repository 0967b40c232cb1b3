"""The way from the kernel to a launched agent, through Daytona's API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..client.states import Course, Processes, state_of
from ..errors import DaytonaConnectionTimeoutError, DaytonaError, DaytonaNotFoundError
from ..wire.messages import SUBPROTOCOL
from .ending import describe_end

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from websockets.asyncio.client import ClientConnection

    from ..client.sandbox import AsyncSandbox
    from .connection import Credentials

# A shell reports a signal as this plus its number.
_SIGNALED = 128
_DELETED = "The sandbox was deleted, with its files."
# The connection to the interpreter alone must not keep an idle sandbox awake.
_HEADERS = {"X-Daytona-Skip-Last-Activity-Update": "true"}


@dataclass(frozen=True)
class LaunchedAgent:
    """A running agent: where it is, and what opens it. A kernel needs no more to return to it.

    port: where it listens, on the sandbox's localhost.
    message_session: the Jupyter message session of the interpreter's messages.
    protocol: the version of the protocol that it speaks; 0 for an agent from before the versions.
    """

    session_id: str
    command_id: str
    port: int
    credentials: Credentials
    message_session: str
    protocol: int = 0


T = TypeVar("T")


class OnApi(Protocol):
    """Runs a coroutine on the event loop of a sandbox, from another loop."""

    async def __call__(self, coroutine: Coroutine[Any, Any, T], /) -> T:
        """Return the coroutine's result."""
        ...


async def _on_this_loop(coroutine: Coroutine[Any, Any, T], /) -> T:
    return await coroutine


class AgentGateway:
    """The way to a launched agent through the API; see connection.Gateway.

    on_api: runs a coroutine on the sandbox's event loop; None if the gateway is used on that loop.
    server_end: returns a sentence about the end of the server that has the sandbox; None while it runs.
    rouse_server: called when the server does not answer; returns as `server_end` does.
    resume: resumes a paused sandbox; None for a start of the sandbox.
    """

    def __init__(
        self,
        sandbox: AsyncSandbox,
        agent: LaunchedAgent,
        on_api: OnApi | None = None,
        server_end: Callable[[], str | None] = lambda: None,
        rouse_server: Callable[[], str | None] = lambda: None,
        resume: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._agent = agent
        self._on_api = on_api or _on_this_loop
        self._server_end = server_end
        self._rouse_server = rouse_server
        self._resume = resume or sandbox.start
        self.sandbox_answers = False
        self.is_paused = False

    async def open(self) -> ClientConnection:
        """See Gateway. The preview's token changes when the sandbox restarts, so it is read each time."""
        preview = await self._on_api(self._sandbox.preview_url(self._agent.port))
        headers = {**_HEADERS, "x-daytona-preview-token": preview.token or ""}
        return await self._sandbox.open_websocket(preview.url, headers=headers, subprotocols=[SUBPROTOCOL])

    async def resume(self) -> None:
        """See Gateway."""
        await self._on_api(self._resume())
        self.is_paused = False

    async def agent_ended(self) -> str | None:
        """See Gateway."""
        self.sandbox_answers = self.is_paused = False
        if (ended := self._server_end()) is not None:
            return ended
        try:
            command = await self._on_api(
                self._sandbox.process.get_session_command(self._agent.session_id, self._agent.command_id)
            )
        except DaytonaNotFoundError as error:
            ended = await self._sandbox_ended()
            if ended is not None or not error.by_daytona or self.is_paused:
                return ended
            return "The interpreter is gone: its session was deleted."
        except DaytonaError:
            return await self._sandbox_ended()
        if command.exit_code is None:
            self.sandbox_answers = True
            return None
        status = command.exit_code
        return describe_end(_SIGNALED - status if status > _SIGNALED else status)

    async def _sandbox_ended(self) -> str | None:
        """Return a sentence about the end of the sandbox; None while it runs or nobody can tell."""
        try:
            await self._on_api(self._sandbox.refresh_data())
        except DaytonaNotFoundError as error:
            return _DELETED if error.by_daytona else self._server_end()
        except DaytonaConnectionTimeoutError:
            return self._server_end() or self._rouse_server()
        except DaytonaError:
            return self._server_end()
        state = state_of(self._sandbox.state)
        self.is_paused = state.processes is Processes.FROZEN
        if state.course is Course.FORGET:
            return _DELETED
        if state.course is Course.GIVE_UP:
            return f"The sandbox is gone: its state is {self._sandbox.state!r}."
        return "The sandbox was stopped. Its files are kept." if state.processes is Processes.ENDED else None
