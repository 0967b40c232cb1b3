"""The sessions of one sandbox."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from .. import failures, limits
from ..box.pipes import FifoDirectory
from .session import Session

if TYPE_CHECKING:
    from ..box.box import Box
    from ..box.child import Child
    from .profile import Profile
    from .spawn import Spawn


class Sessions:
    """The sessions of the sandbox in `box`.

    `terminate_grace` is the time in seconds between SIGTERM and SIGKILL when a session is deleted.
    """

    def __init__(self, spawn: Spawn, box: Box, profile: Profile, terminate_grace: float) -> None:
        self._spawn = spawn
        self._box = box
        self._profile = profile
        self._terminate_grace = terminate_grace
        self._sessions: dict[str, Session] = {}
        self._created = 0
        self._creating = asyncio.Lock()

    def all(self) -> list[Session]:
        """Return the sessions, as a request lists them."""
        return self._profile.listed(self._sessions.values())

    def get(self, session_id: str) -> Session:
        """Return the session. Raises `ApiError` 404."""
        try:
            return self._sessions[session_id]
        except KeyError:
            raise failures.not_found("session not found") from None

    async def create(self, session_id: str) -> Session:
        """Start a session. Raises `ApiError` if the id is taken or at the limit."""
        async with self._creating:
            if session_id in self._sessions:
                raise failures.conflict("session already exists")
            if len(self._sessions) >= limits.SESSIONS:
                raise failures.too_many("sessions in this sandbox", limits.SESSIONS)
            self._created += 1
            name = str(self._created)
            shell, script, status = await self._start_shell()
            session = Session(
                session_id,
                shell,
                script,
                status,
                self._profile,
                fifos=FifoDirectory(self._box.run, name),
                seen_as=f"{self._box.layout.run}/{name}",
                logs=self._box.directory / "logs" / name,
            )
            self._sessions[session_id] = session
            return session

    async def _start_shell(self) -> tuple[Child, int, int]:
        """Start a bash. Return it, where the server writes its script, and where it reads what it prints."""
        script, script_writer = os.pipe()
        status, status_writer = os.pipe()
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            shell = await self._spawn(["/bin/bash"], stdio=(script, status_writer, null))
        except BaseException:
            os.close(script_writer)
            os.close(status)
            raise
        finally:
            for fd in (script, status_writer, null):
                os.close(fd)
        return shell, script_writer, status

    async def delete(self, session_id: str) -> None:
        """End the session's process tree and forget the session. Raises `ApiError` 404."""
        session = self.get(session_id)
        del self._sessions[session_id]
        await session.delete(self._terminate_grace)

    async def close(self) -> None:
        """Forget all sessions. The processes have ended already."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()
