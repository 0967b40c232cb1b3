"""The agent in the kernel's sandbox: started, or found again after a crash."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...errors import DaytonaError, DaytonaNotFoundError, InstallationError
from ...interpreter import launcher
from ...interpreter.connection import Credentials
from ...interpreter.delivery import deliver
from ...interpreter.gateway import LaunchedAgent
from ...interpreter.packages import install
from ...wire.connection import PROTOCOL_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from ...client.process import AsyncProcess
    from ...client.sandbox import AsyncSandbox
    from .handover import Handover
    from .progress import Progress


PYTHON = "python3"  # where the setting `python` has no value
# An installation that cannot work takes half a minute to fail, which no cell should wait for again soon.
_RETRY_SECONDS = 300.0
_NOT_TRIED_AGAIN = (
    "This is the error of the last attempt. The kernel tries again after 5 minutes, after its restart, "
    "and in a new sandbox."
)


class KernelAgent:
    """The agent of one kernel. It belongs to the API thread's loop.

    handover: the state that the next kernel gets. This class changes its field `agent`, and the caller
        writes it to the file.
    magics: the help of the kernel's magics by name, once the magics are imported.
    options: words for the interpreter's command line.
    message_session: the Jupyter message session of the interpreter's messages.
    was_found: whether the latest `start` has returned an agent that ran before.
    was_lost: whether the latest `start` has looked for such an agent, and it does not run any more.
    """

    def __init__(
        self,
        handover: Handover,
        magics: Future[Mapping[str, str]],
        options: tuple[str, ...],
        progress: Progress,
    ) -> None:
        self._handover = handover
        self._magics = magics
        self._options = options
        self._progress = progress
        self.was_found = self.was_lost = False
        # The sandbox whose packages could not be installed, the time until which that counts, and the reason.
        self._failed: dict[str, tuple[float, str]] = {}
        # After a crash, the old interpreter continues. Its messages carry the session of the old kernel.
        self.message_session: str = (handover.agent or {}).get("message_session") or str(uuid.uuid4())

    async def start(
        self, sandbox: AsyncSandbox, settings: Mapping[str, Any], *, may_resume: bool
    ) -> LaunchedAgent:
        """Return an agent. Raises DaytonaError.

        settings: the values of the sandbox's settings by name.
        may_resume: whether to return the agent in the handover if it still runs. Otherwise it is ended.
        """
        wanted = may_resume and self._handover.agent is not None
        agent = await self._find(sandbox.process, may_resume=may_resume)
        self.was_found = agent is not None
        self.was_lost = wanted and agent is None
        if agent is None:
            python, packages = settings.get("python", PYTHON), settings.get("packages")
            if packages:
                self._progress.show(f"Installing {', '.join(packages)} …")
                await install(sandbox.process, packages, python)
            self._progress.show("Starting Python in the sandbox …")
            magics = await asyncio.shield(asyncio.wrap_future(self._magics))
            agent = await self._launch(sandbox, magics, python, settings.get("cwd"))
        self._handover.agent = asdict(agent)
        return agent

    async def _launch(
        self, sandbox: AsyncSandbox, magics: Mapping[str, str], python: str, cwd: str | None
    ) -> LaunchedAgent:
        """Start an agent. An installation that has failed is not tried again at each cell."""
        failed = self._failed.get(sandbox.id)
        if failed is not None and time.monotonic() < failed[0]:
            raise InstallationError(f"{failed[1]} {_NOT_TRIED_AGAIN}")
        progress = self._progress.show
        try:
            return await launcher.launch(
                sandbox.process,
                self.message_session,
                magics,
                self._options,
                on_progress=progress,
                python=python,
                cwd=cwd,
                bring_packages=lambda target: deliver(sandbox.fs, target, progress),
            )
        except InstallationError as error:
            self._failed = {sandbox.id: (time.monotonic() + _RETRY_SECONDS, error.message)}
            raise

    def forget(self) -> str | None:
        """Forget the agent, so that the next kernel does not find it; return its Daytona session, or None."""
        agent, self._handover.agent = self._handover.agent, None
        return None if agent is None else str(agent["session_id"])

    async def _find(self, process: AsyncProcess, *, may_resume: bool) -> LaunchedAgent | None:
        """Return the agent in the handover if it still runs. Otherwise end it, and remove it from there."""
        found = self._handover.agent
        if found is None:
            return None
        agent = LaunchedAgent(**{**found, "credentials": Credentials(**found["credentials"])})
        # Kernel and agent of different versions of this package could not talk to each other.
        if may_resume and agent.protocol == PROTOCOL_VERSION and await _runs(process, agent):
            return agent
        self._handover.agent = None
        # Of an agent that has ended, a shell of the session remains.
        with suppress(DaytonaError):
            await launcher.end(process, agent.session_id)
        return None


async def _runs(process: AsyncProcess, agent: LaunchedAgent) -> bool:
    """Return whether an agent runs. Raises DaytonaError if nobody can tell."""
    try:
        command = await process.get_session_command(agent.session_id, agent.command_id)
    except DaytonaNotFoundError as error:
        if error.by_daytona:
            return False
        raise
    return command.exit_code is None
