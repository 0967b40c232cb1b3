"""Where a kernel lives: whose sandbox, and the agent in it.

A kernel with no record makes a sandbox of its own and deletes it at shutdown. After a restart it
finds its sandbox by the record, files and all, and starts a fresh interpreter there; after a crash
it finds the agent as well, and goes on with the old one. A sandbox that was given to it
(DAYTONA_SANDBOX_ID) is used and never deleted.
"""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..client import embedded
from ..client.daytona import AsyncDaytona
from ..client.models import CreateSandboxParams
from ..errors import DaytonaError, DaytonaNotFoundError
from ..interpreter import launcher
from ..interpreter.connection import Credentials
from ..interpreter.launcher import LaunchedAgent
from .record import Record, RecordFile

if TYPE_CHECKING:
    from ..client.sandbox import AsyncSandbox

# Minutes without activity until a sandbox that a kernel has forgotten stops, and then is deleted.
AUTO_STOP_MINUTES = 30
AUTO_DELETE_MINUTES = 24 * 60

_USABLE_STATES = ("started", "starting", "stopped", "stopping", "archived", "restoring")


class Home:
    """The sandbox of one kernel. It belongs to the loop of the API's thread.

    magics: what the interpreter shall know as magics of the kernel: their help by name.
    message_session: the Jupyter message session that the interpreter's messages bear.
    on_progress: called with a line of text about what is being waited for.
    """

    def __init__(self, record_file: RecordFile, magics: Mapping[str, str]) -> None:
        self._record_file = record_file
        self._record: Record = record_file.read()
        self._magics = magics
        # After a crash the old interpreter goes on, whose messages bear the session of its kernel.
        self.message_session: str = (self._record.agent or {}).get("message_session") or str(uuid.uuid4())
        self.on_progress: Callable[[str], None] = lambda _text: None
        self._daytona: AsyncDaytona | None = None
        self._sandbox: AsyncSandbox | None = None
        self._opening = asyncio.Lock()

    async def sandbox(self) -> AsyncSandbox:
        """Return the sandbox, started; made or found when this is called first. Raises DaytonaError."""
        async with self._opening:
            if self._sandbox is None:
                self._record_file.sweep()
                self._daytona = self._daytona or AsyncDaytona()
                self._sandbox = await self._find() or await self._create()
                self._remember()
            return self._sandbox

    async def agent(self) -> LaunchedAgent:
        """Return an agent: the one that a crashed kernel left, or a new one. Raises DaytonaError."""
        if self._sandbox is not None:
            await self._revive()
        sandbox = await self.sandbox()
        left, self._record.agent = self._record.agent, None
        if left is not None:
            agent = LaunchedAgent(**{**left, "credentials": Credentials(**left["credentials"])})
            if await _runs(sandbox, agent):
                self._remember(agent)
                return agent
        self.on_progress("Starting Python in the sandbox …")
        agent = await launcher.launch(sandbox.process, self.message_session, self._magics, self.on_progress)
        self._remember(agent)
        return agent

    async def refresh_activity(self) -> None:
        """Tell the API that the sandbox is in use: a running cell is no activity in its eyes."""
        if self._sandbox is not None:
            try:
                await self._sandbox.refresh_activity()
            except DaytonaError:
                pass  # the next time, or the cell that finds out, will tell

    async def leave(self, *, restart: bool) -> None:
        """Give the sandbox up for the next kernel (restart), or for good."""
        if self._sandbox is not None and (restart or not self._record.owned):
            await self._end_agent(self._sandbox)
        elif self._embedded:
            # The server has nothing but this kernel's sandbox, and takes it along.
            await asyncio.to_thread(embedded.start().close, now=True)
        elif self._sandbox is not None:
            await self._sandbox.delete()
        if not restart:
            self._record_file.remove()
        if self._daytona is not None:
            await self._daytona.aclose()

    async def _revive(self) -> None:
        """Find out what became of a sandbox whose interpreter was lost: start it again, or forget it."""
        assert self._sandbox is not None
        try:
            await self._sandbox.refresh_data()
        except DaytonaNotFoundError:
            if self._record.owned:
                self._sandbox = self._record.sandbox_id = None
                return
            raise
        if self._sandbox.state != "started":
            self.on_progress(f"Starting sandbox {self._sandbox.name} …")
            await self._sandbox.start()

    async def _find(self) -> AsyncSandbox | None:
        """The sandbox that was given, or that the kernel before had; None when there is none."""
        assert self._daytona is not None
        given = os.environ.get("DAYTONA_SANDBOX_ID")
        sandbox_id = given or self._record.sandbox_id
        if not sandbox_id:
            return None
        try:
            sandbox = await self._daytona.get(sandbox_id)
        except DaytonaNotFoundError:
            if given:
                raise DaytonaNotFoundError(
                    f"There is no sandbox {given!r}, which DAYTONA_SANDBOX_ID names."
                ) from None
            return None
        if sandbox.state not in _USABLE_STATES and not given:
            return None
        if sandbox.state != "started":
            self.on_progress(f"Starting sandbox {sandbox.name} …")
            await sandbox.start()
        self._record.owned = not given
        return sandbox

    async def _create(self) -> AsyncSandbox:
        assert self._daytona is not None
        self.on_progress("Creating a sandbox …")
        sandbox = await self._daytona.create(
            CreateSandboxParams(
                language="python",
                labels={
                    "daytona-kernel": "python",
                    "daytona-kernel/host": socket.gethostname()[:63],
                    "daytona-kernel/notebook": os.path.basename(os.environ.get("JPY_SESSION_NAME", ""))[:63],
                },
                auto_stop_interval=AUTO_STOP_MINUTES,
                auto_delete_interval=AUTO_DELETE_MINUTES,
            )
        )
        self._record.owned = True
        return sandbox

    @property
    def note(self) -> str:
        """What a person must know of the isolation here; empty when all is well, or not known yet."""
        return embedded.start().note if self._embedded else ""

    @property
    def _embedded(self) -> bool:
        return self._daytona is not None and self._daytona.settings.embedded

    def _remember(self, agent: LaunchedAgent | None = None) -> None:
        assert self._sandbox is not None
        if self._embedded:
            self._record.server = dict(zip(("api_url", "api_key"), embedded.start().ready(), strict=True))
        self._record.sandbox_id = self._sandbox.id
        if agent is not None:
            self._record.agent = asdict(agent)
        self._record_file.write(self._record)

    async def _end_agent(self, sandbox: AsyncSandbox) -> None:
        left, self._record.agent = self._record.agent, None
        self._record_file.write(self._record)
        if left is not None:
            await launcher.end(sandbox.process, left["session_id"])


async def _runs(sandbox: AsyncSandbox, agent: LaunchedAgent) -> bool:
    try:
        command = await sandbox.process.get_session_command(agent.session_id, agent.command_id)
    except DaytonaError:
        return False
    return command.exit_code is None
