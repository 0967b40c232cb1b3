"""The start of an agent in a sandbox, through Daytona's public API.

One `exec`, which takes a script of any length, writes the archive and its configuration. The agent then
runs as an asynchronous command of a new session, so that deleting the session ends it. Its log has one
JSON object on each line: progress, then the port on which it listens.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import shlex
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..client import states
from ..client.models.sessions import SessionExecuteRequest
from ..errors import (
    DaytonaConnectionTimeoutError,
    DaytonaError,
    DaytonaNotFoundError,
    InstallationError,
    InterpreterStartError,
)
from ..formatting import format_duration
from ..wait_limit import limited
from ..wire.agent_configuration import AgentConfiguration
from ..wire.connection import PROTOCOL_VERSION
from ..wire.conventions import MEMORY_DIRECTORY, SESSION_PREFIX
from ..wire.logs import Stream
from ..wire.messages import SUBPROTOCOL
from ..wire.schema import ProtocolError, encode_fields
from .bundle import agent_archive, archive_name
from .connection import Credentials
from .ending import describe_end
from .wheels import Target

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping

    from websockets.asyncio.client import ClientConnection

    from ..client.process import AsyncProcess
    from ..client.sandbox import AsyncSandbox

# Seconds without a word of an agent that starts. It says when it installs something, which takes longest.
_SILENCE_SECONDS = limited(600.0)
# A shell reports a signal as this plus its number.
_SIGNALED = 128
_NO_PYTHON = (
    "The sandbox has no Python: there is no {program} on its PATH. Cells need Python 3.10 or newer there. "
    "%sandbox new --snapshot NAME moves to another sandbox; shell magics such as %sh work in this one."
)
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


async def launch(
    process: AsyncProcess,
    message_session: str,
    magics: Mapping[str, str] = MappingProxyType({}),
    options: tuple[str, ...] = (),
    *,
    on_progress: Callable[[str], None] = lambda _text: None,
    python: str = "python3",
    cwd: str | None = None,
    bring_packages: Callable[[Target], Awaitable[str]] | None = None,
) -> LaunchedAgent:
    """Start an agent and wait until it listens. Its interpreter may still be starting then.

    message_session: the Jupyter message session for the interpreter's messages.
    magics: the help of the kernel's magics by name.
    options: words for the interpreter's command line.
    on_progress: called with a line of text while something is being installed.
    python: the program of the Python that runs the cells. cwd: the folder where they start; it is created if
        it is missing. None for the sandbox's own.
    bring_packages: called if the sandbox has no ipykernel and no package index in reach. It puts the packages
        for a Python into a directory of the sandbox, and returns that. It may raise InterpreterStartError.

    Raises InterpreterStartError when the sandbox cannot run an agent, and DaytonaError.
    """

    async def start(wheels: str | None) -> LaunchedAgent:
        return await _start(process, message_session, magics, options, on_progress, python, cwd, wheels)

    try:
        return await start(None)
    except _PackagesWantedError as wanted:
        if bring_packages is None:
            raise InstallationError(wanted.message) from None
        try:
            packages = await bring_packages(wanted.target)
        except InterpreterStartError as error:
            raise InstallationError(f"{wanted.message} {error.message}") from error
        return await start(packages)


class _PackagesWantedError(InstallationError):
    """The sandbox cannot install what its Python lacks, and the kernel can send it."""

    def __init__(self, message: str, target: Target) -> None:
        super().__init__(message)
        self.target = target


async def _start(
    process: AsyncProcess,
    message_session: str,
    magics: Mapping[str, str],
    options: tuple[str, ...],
    on_progress: Callable[[str], None],
    python: str,
    cwd: str | None,
    wheels: str | None,
) -> LaunchedAgent:
    credentials = Credentials(link=secrets.token_hex(8), secret=secrets.token_urlsafe(32))
    session_id = SESSION_PREFIX + credentials.link
    configuration = AgentConfiguration(
        credentials.secret, credentials.link, message_session, dict(magics), options, wheels
    )
    written, _ = await asyncio.gather(
        process.exec(_writing_script(credentials.link, json.dumps(encode_fields(configuration)))),
        process.create_session(session_id),
    )
    if written.exit_code != 0:
        raise InterpreterStartError(
            f"The agent could not be written to the sandbox: {written.result.strip()}"
        )
    directory = written.result.strip().splitlines()[-1]
    enter = "" if cwd is None else f"mkdir -p -- {shlex.quote(cwd)} && cd -- {shlex.quote(cwd)} && "
    program = shlex.quote(python)
    agent = f"{program} '{directory}/{archive_name()}' '{directory}/{credentials.link}.json'"
    missing = shlex.quote(json.dumps({"error": _NO_PYTHON.format(program=python)}))
    command = f"{enter}if command -v {program} >/dev/null; then {agent}; else echo {missing}; fi"
    started = await process.execute_session_command(
        session_id, SessionExecuteRequest(command=command, run_async=True, suppress_input_echo=True)
    )
    try:
        port = await _await_port(process, session_id, started.cmd_id, on_progress)
    except DaytonaError:
        with suppress(DaytonaError):  # the first error tells more
            await end(process, session_id)
        raise
    return LaunchedAgent(session_id, started.cmd_id, port, credentials, message_session, PROTOCOL_VERSION)


async def end(process: AsyncProcess, session_id: str) -> None:
    """End the agent of a session and its interpreter. If they are gone already, do nothing."""
    with suppress(DaytonaNotFoundError):
        await process.delete_session(session_id)


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
    """

    def __init__(
        self,
        sandbox: AsyncSandbox,
        agent: LaunchedAgent,
        on_api: OnApi | None = None,
        server_end: Callable[[], str | None] = lambda: None,
        rouse_server: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._sandbox = sandbox
        self._agent = agent
        self._on_api = on_api or _on_this_loop
        self._server_end = server_end
        self._rouse_server = rouse_server
        self.sandbox_answers = False

    async def open(self) -> ClientConnection:
        """See Gateway. The preview's token changes when the sandbox restarts, so it is read each time."""
        preview = await self._on_api(self._sandbox.preview_url(self._agent.port))
        headers = {**_HEADERS, "x-daytona-preview-token": preview.token or ""}
        return await self._sandbox.open_websocket(preview.url, headers=headers, subprotocols=[SUBPROTOCOL])

    async def agent_ended(self) -> str | None:
        """See Gateway."""
        self.sandbox_answers = False
        if (ended := self._server_end()) is not None:
            return ended
        try:
            command = await self._on_api(
                self._sandbox.process.get_session_command(self._agent.session_id, self._agent.command_id)
            )
        except DaytonaNotFoundError:
            return await self._sandbox_ended() or "The interpreter is gone: its session was deleted."
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
        except DaytonaNotFoundError:
            return _DELETED
        except DaytonaConnectionTimeoutError:
            return self._server_end() or self._rouse_server()
        except DaytonaError:
            return self._server_end()
        state = self._sandbox.state
        if state in states.STOPPED:
            return "The sandbox was stopped. Its files are kept."
        if state in states.DELETED:
            return _DELETED
        return f"The sandbox is gone: its state is {state!r}." if state in states.GONE else None


async def _await_port(
    process: AsyncProcess, session_id: str, command_id: str, on_progress: Callable[[str], None]
) -> int:
    other_lines: list[str] = []
    lines = _lines(process, session_id, command_id)
    async for line in _timely(lines):
        try:
            report = json.loads(line)
        except ValueError:
            other_lines.append(line)
            continue
        if "port" in report:
            return int(report["port"])
        if "error" in report:
            raise _start_error(report)
        on_progress(str(report.get("progress", "")))
    raise InterpreterStartError(
        "The sandbox could not start the interpreter: "
        + (other_lines[-1] if other_lines else "its command ended without output.")
    )


def _start_error(report: dict[str, Any]) -> InterpreterStartError:
    """Return the error that an agent has reported: of an installation, or of another kind."""
    message = str(report["error"])
    if "wanted" not in report:
        return InterpreterStartError(message)
    try:
        return _PackagesWantedError(message, Target.parse(report["wanted"]))
    except ProtocolError:
        return InstallationError(message)


async def _timely(lines: AsyncGenerator[str]) -> AsyncIterator[str]:
    """Yield the lines. Raises InterpreterStartError if the next one does not come in time."""
    try:
        while True:
            async with asyncio.timeout(_SILENCE_SECONDS):
                line = await anext(lines, None)
            if line is None:
                return
            yield line
    except TimeoutError:
        raise InterpreterStartError(
            f"The interpreter did not start: its agent said nothing for {format_duration(_SILENCE_SECONDS)}. "
            "Your files are kept. The next cell tries again."
        ) from None
    finally:
        await lines.aclose()


async def _lines(process: AsyncProcess, session_id: str, command_id: str) -> AsyncGenerator[str]:
    """Yield the lines of both streams of a command's log, as they appear."""
    rest = dict.fromkeys(Stream, b"")
    chunks = process.follow_session_command_logs(session_id, command_id)
    try:
        async for chunk in chunks:
            *lines, rest[chunk.stream] = (rest[chunk.stream] + chunk.data).split(b"\n")
            for line in lines:
                if line.strip():
                    yield line.decode(errors="replace")
    finally:
        await chunks.aclose()
    for line in rest.values():
        if line.strip():
            yield line.decode(errors="replace")


def _writing_script(link: str, settings: str) -> str:
    """Return a script that writes archive and configuration, readable for their owner only.

    They go to memory if the disk is full, so that cells can make room on it. The last line that the script
    prints is their directory.
    """
    archive = base64.encodebytes(agent_archive()).decode()
    return f"""umask 077
place() {{
mkdir -p "$1" && [ -O "$1" ] || return
if [ ! -s "$1/{archive_name()}" ]; then
base64 -d > "$1/{link}.part" <<'ARCHIVE' && mv "$1/{link}.part" "$1/{archive_name()}" || return
{archive}ARCHIVE
fi
cat > "$1/{link}.json" <<'SETTINGS' || return
{settings}
SETTINGS
echo "$1"
}}
cache="${{XDG_CACHE_HOME:-$HOME/.cache}}/daytona-kernel"
place "$cache" && exit
rm -f "$cache/{link}.part" "$cache/{link}.json"
TMPDIR={MEMORY_DIRECTORY}
place "{MEMORY_DIRECTORY}/daytona-kernel-$(id -u)"
"""
