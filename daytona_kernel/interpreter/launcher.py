"""The start of an agent in a sandbox, through the page's own calls.

The archive and its configuration are written by one `exec`, which takes a script of any length;
the agent then runs as an async command of a session of its own, so that deleting the session ends
it. What it prints, one JSON object a line, is its log: progress, then the port that it listens on.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..client.models import SessionExecuteRequest
from ..errors import DaytonaError, DaytonaNotFoundError, InterpreterStartError
from ..wire.logs import Stream
from ..wire.messages import SUBPROTOCOL
from .bundle import agent_archive, archive_name
from .connection import Credentials
from .interpreter import describe_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from websockets.asyncio.client import ClientConnection

    from ..client.process import AsyncProcess
    from ..client.sandbox import AsyncSandbox

# A session whose name begins so is the kernel's own: listed to nobody, deleted with the interpreter.
SESSION_PREFIX = "daytona-kernel-"
# Over a connection that only carries the interpreter, a sandbox may still fall asleep.
_HEADERS = {"X-Daytona-Skip-Last-Activity-Update": "true"}


@dataclass(frozen=True)
class LaunchedAgent:
    """An agent that runs: where it is, and what opens it. All a kernel needs to come back to it.

    port: where it listens, on the sandbox's localhost.
    message_session: the Jupyter message session that the interpreter's messages bear.
    """

    session_id: str
    command_id: str
    port: int
    credentials: Credentials
    message_session: str


async def launch(
    process: AsyncProcess,
    message_session: str,
    magics: Mapping[str, str] = MappingProxyType({}),
    on_progress: Callable[[str], None] = lambda _text: None,
) -> LaunchedAgent:
    """Start an agent and wait until it listens; its interpreter may still be starting.

    message_session: the id that the interpreter's messages shall bear.
    magics: what the interpreter shall know as magics of the kernel: their help by name.
    on_progress: called with a line of text while something is being installed.

    Raises InterpreterStartError when the sandbox cannot run one, and DaytonaError.
    """
    credentials = Credentials(link=secrets.token_hex(8), secret=secrets.token_urlsafe(32))
    session_id = SESSION_PREFIX + credentials.link
    settings = {
        "secret": credentials.secret,
        "link": credentials.link,
        "message_session": message_session,
        "magics": dict(magics),
    }
    written, _ = await asyncio.gather(
        process.exec(_writing_script(credentials.link, json.dumps(settings))),
        process.create_session(session_id),
    )
    if written.exit_code != 0:
        raise InterpreterStartError(
            f"The agent could not be written to the sandbox: {written.result.strip()}"
        )
    directory = written.result.strip().splitlines()[-1]
    command = f"python3 '{directory}/{archive_name()}' '{directory}/{credentials.link}.json'"
    started = await process.execute_session_command(
        session_id, SessionExecuteRequest(command=command, run_async=True, suppress_input_echo=True)
    )
    port = await _await_port(process, session_id, started.cmd_id, on_progress)
    return LaunchedAgent(session_id, started.cmd_id, port, credentials, message_session)


async def end(process: AsyncProcess, session_id: str) -> None:
    """End the agent of a session, and its interpreter. No error when they are gone already."""
    try:
        await process.delete_session(session_id)
    except DaytonaNotFoundError:
        pass


T = TypeVar("T")


class OnApi(Protocol):
    """Runs a call on the event loop that a sandbox belongs to, and awaits it here."""

    async def __call__(self, call: Coroutine[Any, Any, T], /) -> T:
        """Return what the call returns."""
        ...


async def _here(call: Coroutine[Any, Any, T], /) -> T:
    return await call


class AgentGateway:
    """The way to a launched agent through the API; see connection.Gateway.

    on_api: runs a call of the sandbox on the event loop that the sandbox belongs to; None where the
        gateway is used on that same loop.
    """

    def __init__(self, sandbox: AsyncSandbox, agent: LaunchedAgent, on_api: OnApi | None = None) -> None:
        self._sandbox = sandbox
        self._agent = agent
        self._on_api = on_api or _here

    async def open(self) -> ClientConnection:
        """See Gateway. The preview's token changes when a sandbox restarts, so ask each time."""
        preview = await self._on_api(self._sandbox.preview_url(self._agent.port))
        headers = {**_HEADERS, "x-daytona-preview-token": preview.token or ""}
        return await self._sandbox.open_websocket(preview.url, headers=headers, subprotocols=[SUBPROTOCOL])

    async def agent_ended(self) -> str | None:
        """See Gateway."""
        try:
            command = await self._on_api(
                self._sandbox.process.get_session_command(self._agent.session_id, self._agent.command_id)
            )
        except DaytonaNotFoundError:
            return "The interpreter is gone: its session was deleted, or the whole sandbox was."
        except DaytonaError:
            return None
        if command.exit_code is None:
            return None
        status = command.exit_code
        # A shell reports a signal as 128 and its number.
        return describe_end(128 - status if status > 128 else status)


async def _await_port(
    process: AsyncProcess, session_id: str, command_id: str, on_progress: Callable[[str], None]
) -> int:
    said: list[str] = []
    async for line in _lines(process, session_id, command_id):
        try:
            report = json.loads(line)
        except ValueError:
            said.append(line)
            continue
        if "port" in report:
            return int(report["port"])
        if "error" in report:
            raise InterpreterStartError(report["error"])
        on_progress(str(report.get("progress", "")))
    raise InterpreterStartError(
        "The sandbox could not start the interpreter: "
        + (said[-1] if said else "its command ended silently.")
    )


async def _lines(process: AsyncProcess, session_id: str, command_id: str) -> AsyncIterator[str]:
    """The lines of a command's log, of either stream, as they appear."""
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
    """A script that writes archive and configuration for the owner's eyes, and prints where."""
    archive = base64.encodebytes(agent_archive()).decode()
    return f"""set -e
umask 077
directory="${{XDG_CACHE_HOME:-$HOME/.cache}}/daytona-kernel"
mkdir -p "$directory"
if [ ! -s "$directory/{archive_name()}" ]; then
base64 -d > "$directory/{link}.part" <<'ARCHIVE'
{archive}ARCHIVE
mv "$directory/{link}.part" "$directory/{archive_name()}"
fi
cat > "$directory/{link}.json" <<'SETTINGS'
{settings}
SETTINGS
echo "$directory"
"""
