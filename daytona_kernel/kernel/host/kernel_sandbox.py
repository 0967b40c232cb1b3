"""Where a kernel lives: whose sandbox, and the agent in it.

A kernel with no handover makes a sandbox of its own and deletes it at shutdown. After a restart it
finds its sandbox by the handover, files and all, and starts a fresh interpreter there; after a crash
it finds the agent as well, and goes on with the old one. A sandbox that was given to it
(DAYTONA_SANDBOX_ID) is used and never deleted.
"""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from ...client import embedded
from ...client.daytona import AsyncDaytona
from ...client.labels import HOST_LABEL, LABEL, NOTEBOOK_LABEL
from ...client.models import CreateSandboxParams
from ...errors import DaytonaError, DaytonaNotFoundError
from ...interpreter import launcher
from ...interpreter.connection import Credentials
from ...interpreter.launcher import LaunchedAgent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from ...client.sandbox import AsyncSandbox
    from .handover import Handover, HandoverFile

# Minutes without activity until a sandbox that a kernel has forgotten stops, and then is deleted.
AUTO_STOP_MINUTES = 30
AUTO_DELETE_MINUTES = 24 * 60

_USABLE_STATES = ("started", "starting", "stopped", "stopping", "archived", "restoring")


class KernelSandbox:
    """The sandbox of one kernel. It belongs to the loop of the API's thread.

    magics: what the interpreter shall know as magics of the kernel, their help by name, when it is known.
    message_session: the Jupyter message session that the interpreter's messages bear.
    """

    def __init__(self, handover_file: HandoverFile, magics: Future[Mapping[str, str]]) -> None:
        self._handover_file = handover_file
        self._handover: Handover = handover_file.read()
        self._magics = magics
        # After a crash the old interpreter goes on, whose messages bear the session of its kernel.
        self.message_session: str = (self._handover.agent or {}).get("message_session") or str(uuid.uuid4())
        self._progress = ""
        self._on_progress: Callable[[str], None] = lambda _text: None
        self._daytona: AsyncDaytona | None = None
        self._sandbox: AsyncSandbox | None = None
        self._left: set[AsyncSandbox] = set()  # what this kernel has made and does not live in
        self._unmaking: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()

    @property
    def daytona(self) -> AsyncDaytona:
        """The client. Raises DaytonaAuthenticationError when the settings are not enough for one."""
        self._daytona = self._daytona or AsyncDaytona()
        return self._daytona

    @property
    def owned(self) -> bool:
        """Whether this kernel deletes the sandbox when it ends."""
        return self._handover.owned

    def watch_progress(self, on_progress: Callable[[str], None]) -> None:
        """Call `on_progress` with each line of text about what is being waited for, from the latest on."""
        self._on_progress = on_progress
        if self._progress:
            on_progress(self._progress)

    def _tell(self, text: str) -> None:
        self._progress = text
        self._on_progress(text)

    async def sandbox(self) -> AsyncSandbox:
        """Return the sandbox, started; made or found when this is called first. Raises DaytonaError."""
        async with self._opening:
            if self._sandbox is None:
                self._handover_file.sweep()
                self._sandbox = await self._find()
                if self._sandbox is None:
                    self._sandbox = await self.create(CreateSandboxParams())
                    self._left.discard(self._sandbox)
                    self._handover.owned = True
                self._remember()
            return self._sandbox

    async def agent(self) -> LaunchedAgent:
        """Return an agent: the one that a crashed kernel left, or a new one. Raises DaytonaError."""
        if self._sandbox is not None:
            await self._revive()
        sandbox = await self.sandbox()
        left, self._handover.agent = self._handover.agent, None
        if left is not None:
            agent = LaunchedAgent(**{**left, "credentials": Credentials(**left["credentials"])})
            if await _runs(sandbox, agent):
                self._remember(agent)
                return agent
        self._tell("Starting Python in the sandbox …")
        magics = await asyncio.shield(asyncio.wrap_future(self._magics))
        agent = await launcher.launch(sandbox.process, self.message_session, magics, self._tell)
        self._remember(agent)
        return agent

    async def refresh_activity(self) -> None:
        """Tell the API that the sandbox is in use: a running cell is no activity in its eyes."""
        if self._sandbox is not None:
            try:
                await self._sandbox.refresh_activity()
            except DaytonaError:
                pass  # the next time, or the cell that finds out, will tell

    async def move(self, sandbox: AsyncSandbox, *, owned: bool) -> str:
        """Live in this sandbox from now on; return what became of the old one, in a sentence.

        owned: whether it is this kernel's own, to be deleted when the kernel ends.
        """
        async with self._opening:
            old, was_owned, agent = self._sandbox, self._handover.owned, self._handover.agent
            self._left.discard(sandbox)
            self._sandbox, self._handover.owned, self._handover.agent = sandbox, owned, None
            self._remember()
            if old is None:
                return ""
            if was_owned:
                self._left.add(old)
                await self._delete_left()
                return f"Sandbox {old.name} was deleted, with its files."
            if agent is not None:
                await launcher.end(old.process, agent["session_id"])
            return f"Sandbox {old.name} is as it was; %sandbox attach {old.id} returns to it."

    async def stop(self) -> str:
        """Stop the sandbox; return what becomes of its contents."""
        async with self._opening:
            sandbox = self._known
            self._handover.agent = None
            self._remember()
            await sandbox.stop()
            return f"Stopped sandbox {sandbox.name}. Its files are kept; the next cell starts it again."

    async def delete(self) -> str:
        """Delete the sandbox, which must be this kernel's own; return what comes next."""
        async with self._opening:
            sandbox = self._known
            await sandbox.delete()
            self._sandbox = self._handover.sandbox_id = self._handover.agent = None
            self._handover.owned = True
            self._handover_file.write(self._handover)
            return f"Deleted sandbox {sandbox.name}, with its files. The next cell makes a new one."

    async def keep(self) -> AsyncSandbox:
        """Leave the sandbox alone when the kernel ends, and return it."""
        sandbox = await self.sandbox()
        if self._embedded:
            raise DaytonaError(
                "This sandbox lives in the kernel's own server and ends with it. To keep sandboxes on this "
                "machine, run `daytona-kernel serve`, and start the kernel with the settings that it prints."
            )
        await sandbox.set_auto_delete_interval(-1)
        self._handover.owned = False
        self._remember()
        return sandbox

    async def leave(self, *, restart: bool) -> None:
        """Give the sandbox up for the next kernel (restart), or for good."""
        if self._embedded and not restart:
            # The server has nothing but this kernel's sandboxes, and takes them along.
            if (server := embedded.current()) is not None:
                await asyncio.to_thread(server.close, now=True)
        else:
            await asyncio.gather(*self._unmaking)
            await self._delete_left()
            if self._sandbox is not None and (restart or not self._handover.owned):
                await self._end_agent(self._sandbox)
            elif self._sandbox is not None:
                await self._sandbox.delete()
        if not restart:
            self._handover_file.remove()
        if self._daytona is not None:
            await self._daytona.aclose()

    async def _delete_left(self) -> None:
        """Delete what this kernel has made and does not live in. Raises DaytonaError; then some is left."""
        for sandbox in list(self._left):
            await self._delete(sandbox)

    async def _delete(self, sandbox: AsyncSandbox) -> None:
        with suppress(DaytonaNotFoundError):
            await sandbox.delete()
        self._left.discard(sandbox)

    @property
    def _known(self) -> AsyncSandbox:
        if self._sandbox is None:
            raise DaytonaError("There is no sandbox yet; the next cell makes one.")
        return self._sandbox

    async def _revive(self) -> None:
        """Find out what became of a sandbox whose interpreter was lost: start it again, or forget it."""
        async with self._opening:
            if self._sandbox is None:
                return
            try:
                await self._sandbox.refresh_data()
            except DaytonaNotFoundError:
                if self._handover.owned:
                    self._sandbox = self._handover.sandbox_id = None
                    return
                raise
            if self._sandbox.state != "started":
                self._tell(f"Starting sandbox {self._sandbox.name} …")
                await self._sandbox.start()

    async def _find(self) -> AsyncSandbox | None:
        """The sandbox that was given, or that the kernel before had; None when there is none."""
        given = os.environ.get("DAYTONA_SANDBOX_ID")
        # The kernel before may have moved.
        sandbox_id = self._handover.sandbox_id or given
        if not sandbox_id:
            return None
        try:
            sandbox = await self.daytona.get(sandbox_id)
        except DaytonaNotFoundError:
            if sandbox_id == given:
                raise DaytonaNotFoundError(
                    f"There is no sandbox {given!r}, which DAYTONA_SANDBOX_ID names."
                ) from None
            return None
        attached = sandbox_id == given or not self._handover.owned
        if sandbox.state not in _USABLE_STATES and not attached:
            return None
        if sandbox.state != "started":
            self._tell(f"Starting sandbox {sandbox.name} …")
            await sandbox.start()
        self._handover.owned = not attached
        return sandbox

    async def create(self, params: CreateSandboxParams) -> AsyncSandbox:
        """Make a sandbox that can be told to be this kernel's, and that goes when it is forgotten.

        Who does not move there leaves it to be deleted; so does who is cancelled while it is being made.
        """
        self._tell("Creating a sandbox …")
        labels = {
            LABEL: "python",
            HOST_LABEL: socket.gethostname()[:63],
            NOTEBOOK_LABEL: os.path.basename(os.environ.get("JPY_SESSION_NAME", ""))[:63],
        }
        wanted = replace(
            params,
            language=params.language or "python",
            labels=labels,
            auto_stop_interval=AUTO_STOP_MINUTES,
            auto_delete_interval=AUTO_DELETE_MINUTES,
        )
        making = asyncio.create_task(self.daytona.create(wanted))
        try:
            sandbox = await asyncio.shield(making)
        except asyncio.CancelledError:
            unmaking = asyncio.create_task(self._unmake(making))
            self._unmaking.add(unmaking)
            unmaking.add_done_callback(self._unmaking.discard)
            raise
        self._left.add(sandbox)
        return sandbox

    async def _unmake(self, making: asyncio.Task[AsyncSandbox]) -> None:
        """Delete a sandbox that is being made, and that nobody waits for any more."""
        with suppress(DaytonaError):  # `leave` tries again
            sandbox = await making
            self._left.add(sandbox)
            await self._delete(sandbox)

    @property
    def place(self) -> str:
        """Where sandboxes are, for a person."""
        if not self._embedded:
            return f"at {self.daytona.settings.api_url.value}"
        server = embedded.current()
        isolation = server.isolation if server is not None else ""
        return f"on this machine, in the embedded server (isolation: {isolation})"

    @property
    def note(self) -> str:
        """What a person must know of the isolation here; empty when all is well, or not known yet."""
        server = embedded.current() if self._embedded else None
        return server.note if server is not None else ""

    @property
    def _embedded(self) -> bool:
        return self._daytona is not None and self._daytona.settings.embedded

    def _remember(self, agent: LaunchedAgent | None = None) -> None:
        assert self._sandbox is not None
        if self._embedded and (server := embedded.current()) is not None:
            self._handover.server = dict(zip(("api_url", "api_key"), server.ready(), strict=True))
        self._handover.sandbox_id = self._sandbox.id
        if agent is not None:
            self._handover.agent = asdict(agent)
        self._handover_file.write(self._handover)

    async def _end_agent(self, sandbox: AsyncSandbox) -> None:
        left, self._handover.agent = self._handover.agent, None
        self._handover_file.write(self._handover)
        if left is not None:
            await launcher.end(sandbox.process, left["session_id"])


async def _runs(sandbox: AsyncSandbox, agent: LaunchedAgent) -> bool:
    try:
        command = await sandbox.process.get_session_command(agent.session_id, agent.command_id)
    except DaytonaError:
        return False
    return command.exit_code is None
