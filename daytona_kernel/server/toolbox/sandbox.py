"""A sandbox: a private directory, and while it is started a supervisor and the children below it."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import failures, limits
from ..box.isolation import children_environment
from ..timestamps import timestamp
from .files import Files
from .interpreters import Interpreters
from .sessions import Session
from .terminals import Terminals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..box.supervisor import Child, SupervisorClient
    from ..box.warm import Ground

_DESIRED = {"creating": "started", "stopping": "stopped", "destroying": "destroyed"}


@dataclass(slots=True)
class Intervals:
    """Minutes: 0 for never (auto-stop) or at once (auto-delete), negative for never (auto-delete)."""

    auto_stop: int = 15
    auto_archive: int = 10080
    auto_delete: int = -1


@dataclass
class Description:
    """What the control plane says of a sandbox and does not act upon."""

    name: str
    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    public: bool = False
    target: str = "local"
    snapshot: str | None = None
    cpu: int = os.cpu_count() or 1
    memory: int = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // limits.GIB or 1  # GiB
    disk: int = 10  # GiB; not enforced


class Sandbox:
    """One sandbox of the server. `on_change` is called whenever its timers must be looked at again."""

    def __init__(
        self, ground: Ground, description: Description, on_change: Callable[[Sandbox], None]
    ) -> None:
        self.id = ground.id
        self.description = description
        self.intervals = Intervals()
        self.state = "creating"
        self.created_at = self.updated_at = self.last_activity_at = timestamp()
        self.active_at = self.stopped_at = time.monotonic()
        self.requests = 0  # being answered right now, those that count as activity
        self.preview_token = secrets.token_urlsafe(24)
        self.isolation = ground.isolation
        self.root = ground.root
        self.layout = ground.layout
        self.sessions: dict[str, Session] = {}
        self.files = Files(self)
        self.terminals = Terminals()
        self.interpreters = Interpreters()
        self._ground = ground
        self._supervisor: SupervisorClient | None = None
        self._on_change = on_change
        self._sessions_made = 0
        self._moving = asyncio.Lock()  # held while the state changes
        self._making_session = asyncio.Lock()
        self._removal: asyncio.Future[None] | None = None

    def touch(self) -> None:
        """Count a request as activity."""
        self.active_at = time.monotonic()
        self.last_activity_at = timestamp()

    def set_interval(self, name: str, minutes: int) -> None:
        """Set one of the `Intervals`."""
        setattr(self.intervals, name, minutes)
        self._on_change(self)

    @cached_property
    def environment(self) -> dict[str, str]:
        """What every child of this sandbox has in its environment."""
        return children_environment(self.layout, self.id, self.description.env)

    async def start(self) -> None:
        """Make the sandbox usable: its directories, if they are not there, and a supervisor."""
        async with self._moving:
            if self.state == "started":
                return
            self._supervisor = await self._ground.supervisor(self.description.memory)
            self._supervisor.lost.add_done_callback(self._on_lost)
            self._set_state("started")
            self.touch()

    def _on_lost(self, _: object) -> None:
        if self.state == "started":
            # Not by our doing: somebody killed the supervisor. What it had below it is ours now.
            print(f"sandbox {self.id}: its first process has ended", file=sys.stderr)
            self._task = asyncio.ensure_future(self.stop())

    def _set_state(self, state: str) -> None:
        self.state = state
        self.updated_at = timestamp()
        self._on_change(self)

    async def stop(self) -> None:
        """End every process and keep the files."""
        async with self._moving:
            if self.state != "started":
                return
            self._set_state("stopping")
            await self._end_processes()
            self.stopped_at = time.monotonic()
            self._set_state("stopped")

    async def _end_processes(self) -> None:
        self.files.close()
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await supervisor.close()
        sessions, self.sessions = self.sessions, {}
        for session in sessions.values():
            await session.close()
        await self.terminals.close()
        await self.interpreters.close()

    async def delete(self) -> None:
        """End every process and remove the directory."""
        async with self._moving:
            if self.state == "destroyed":
                return
            self._set_state("destroying")
            await self._end_processes()
            self._removal = asyncio.ensure_future(self._ground.remove())
            self._set_state("destroyed")

    async def removed(self) -> None:
        """Return when nothing of the deleted sandbox is left on disk."""
        if self._removal is not None:
            await self._removal

    @property
    def supervisor(self) -> SupervisorClient:
        """The supervisor of the started sandbox. Raises `ApiError` when it is not started."""
        if self._supervisor is None:
            raise failures.bad_request(f"sandbox is not started, it is {self.state}")
        return self._supervisor

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdio: Sequence[int] = (),
        terminal: tuple[int, int] | None = None,
    ) -> Child:
        """Start a child with `env` on top of the sandbox's own; `cwd` is relative to the work dir."""
        directory = self.absolute(cwd or self.layout.workspace)
        return await self.supervisor.spawn(
            argv, env=self.environment | dict(env or {}), cwd=directory, stdio=stdio, terminal=terminal
        )

    def absolute(self, path: str) -> str:
        """Return `path` as an absolute path of the sandbox: relative to the work dir, `~` is the home."""
        if path == "~" or path.startswith("~/"):
            return self.layout.home + path[1:]
        return os.path.normpath(os.path.join(self.layout.workspace, path))

    async def create_session(self, session_id: str) -> Session:
        """Start a session. Raises `ApiError` when the id is taken or there are too many."""
        async with self._making_session:
            if session_id in self.sessions:
                raise failures.conflict("session already exists")
            if len(self.sessions) >= limits.SESSIONS:
                raise failures.too_many("sessions in this sandbox", limits.SESSIONS)
            self._sessions_made += 1
            name = str(self._sessions_made)
            shell, feed = await self._start_shell()
            session = Session(
                session_id,
                shell,
                feed,
                directory=self.root / "run" / name,
                seen_as=f"{self.layout.run}/{name}",
                logs=self.root / "logs" / name,
            )
            self.sessions[session_id] = session
            return session

    async def _start_shell(self) -> tuple[Child, int]:
        """Start a bash; return it and the pipe that it reads its script from."""
        script, feed = os.pipe()
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            return await self.spawn(["/bin/bash"], stdio=(script, null, null)), feed
        except BaseException:
            os.close(feed)
            raise
        finally:
            os.close(script)
            os.close(null)

    def session(self, session_id: str) -> Session:
        """Return a session. Raises `ApiError` 404."""
        try:
            return self.sessions[session_id]
        except KeyError:
            raise failures.not_found("session not found") from None

    async def delete_session(self, session_id: str) -> None:
        """End a session and all below it. Raises `ApiError` 404."""
        session = self.session(session_id)
        del self.sessions[session_id]
        await session.delete()

    def describe(self, toolbox_url: str) -> dict[str, Any]:
        """Return the sandbox as the API shows it."""
        about = self.description
        return {
            "id": self.id,
            "organizationId": "local",
            "name": about.name,
            "snapshot": about.snapshot,
            "user": "daytona",
            "env": about.env,
            "labels": about.labels,
            "public": about.public,
            "networkBlockAll": False,
            "kvm": False,
            "target": about.target,
            "cpu": about.cpu,
            "gpu": 0,
            "memory": about.memory,
            "disk": about.disk,
            "state": self.state,
            "desiredState": _DESIRED.get(self.state, self.state),
            "backupState": "None",
            "autoStopInterval": self.intervals.auto_stop,
            "autoArchiveInterval": self.intervals.auto_archive,
            "autoDeleteInterval": self.intervals.auto_delete,
            "volumes": [],
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "lastActivityAt": self.last_activity_at,
            "sandboxClass": "container",
            "toolboxProxyUrl": toolbox_url,
        }
