"""The agent in the kernel's sandbox: started, or found again after a crash."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING

from ...errors import DaytonaError
from ...interpreter import launcher
from ...interpreter.connection import Credentials
from ...interpreter.launcher import LaunchedAgent
from ...wire.connection import PROTOCOL_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from ...client.process import AsyncProcess
    from .handover import Handover
    from .progress import Progress


class KernelAgent:
    """The agent of one kernel. It belongs to the API thread's loop.

    handover: the state that the next kernel gets. This class changes its field `agent`, and the caller
        writes it to the file.
    magics: the help of the kernel's magics by name, once the magics are imported.
    message_session: the Jupyter message session of the interpreter's messages.
    """

    def __init__(self, handover: Handover, magics: Future[Mapping[str, str]], progress: Progress) -> None:
        self._handover = handover
        self._magics = magics
        self._progress = progress
        # After a crash, the old interpreter continues. Its messages carry the session of the old kernel.
        self.message_session: str = (handover.agent or {}).get("message_session") or str(uuid.uuid4())

    async def start(self, process: AsyncProcess) -> LaunchedAgent:
        """Return the agent that a crashed kernel left, or start a new one. Raises DaytonaError."""
        agent = await self._find(process)
        if agent is None:
            self._progress.show("Starting Python in the sandbox …")
            magics = await asyncio.shield(asyncio.wrap_future(self._magics))
            agent = await launcher.launch(process, self.message_session, magics, self._progress.show)
        self._handover.agent = asdict(agent)
        return agent

    def forget(self) -> str | None:
        """Forget the agent, so that the next kernel does not find it; return its Daytona session, or None."""
        agent, self._handover.agent = self._handover.agent, None
        return None if agent is None else str(agent["session_id"])

    async def _find(self, process: AsyncProcess) -> LaunchedAgent | None:
        """Return the agent in the handover if it still runs, and remove it from there."""
        found, self._handover.agent = self._handover.agent, None
        if found is None:
            return None
        agent = LaunchedAgent(**{**found, "credentials": Credentials(**found["credentials"])})
        if agent.protocol != PROTOCOL_VERSION:
            # Another version of this package started it, and the two could not talk to each other.
            await launcher.end(process, agent.session_id)
            return None
        try:
            command = await process.get_session_command(agent.session_id, agent.command_id)
        except DaytonaError:
            return None
        return agent if command.exit_code is None else None
