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
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..client.models.sessions import SessionExecuteRequest
from ..config import DEFAULT_REQUEST_TIMEOUT
from ..errors import (
    DaytonaError,
    DaytonaNotFoundError,
    InstallationError,
    InterpreterStartError,
)
from ..wire.agent_configuration import AgentConfiguration
from ..wire.connection import PROTOCOL_VERSION
from ..wire.conventions import MEMORY_DIRECTORY, SESSION_PREFIX
from ..wire.schema import encode_fields
from .bundle import agent_archive, archive_name
from .connection import Credentials
from .gateway import LaunchedAgent
from .launch_log import PackagesWantedError, await_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ..client.process import AsyncProcess
    from .wheels import Target

_NO_PYTHON = (
    "The sandbox has no Python: there is no {program} on its PATH. Cells need Python 3.10 or newer there. "
    "%sandbox new --snapshot NAME moves to another sandbox; shell magics such as %sh work in this one."
)


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
    except PackagesWantedError as wanted:
        if bring_packages is None:
            raise InstallationError(wanted.message) from None
        try:
            packages = await bring_packages(wanted.target)
        except InterpreterStartError as error:
            raise InstallationError(f"{wanted.message} {error.message}") from error
        return await start(packages)


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
        process.exec(
            _writing_script(credentials.link, json.dumps(encode_fields(configuration))),
            request_timeout=DEFAULT_REQUEST_TIMEOUT,
        ),
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
        port = await await_port(process, session_id, started.cmd_id, on_progress)
    except DaytonaError:
        with suppress(DaytonaError):  # the first error tells more
            await end(process, session_id)
        raise
    return LaunchedAgent(session_id, started.cmd_id, port, credentials, message_session, PROTOCOL_VERSION)


async def end(process: AsyncProcess, session_id: str) -> None:
    """End the agent of a session and its interpreter. If they are gone already, do nothing."""
    with suppress(DaytonaNotFoundError):
        await process.delete_session(session_id)


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
