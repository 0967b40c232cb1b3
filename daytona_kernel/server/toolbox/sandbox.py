"""A sandbox: its description, its state, and the box and the children that it has while it is started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import failures, limits
from ..box.control_group import Size
from ..box.freezer import freeze, thaw
from ..box.isolation import IMAGE_SETTINGS, children_environment, image_environment
from ..box.python_environment import CHARTS_BACKEND
from ..box.snapshots import environment_of
from ..timestamps import timestamp
from .files import Files
from .interpreter_contexts import InterpreterContexts
from .metrics import Metrics
from .previews import Previews
from .running_time import RunningTime
from .sessions import Sessions
from .terminals import Terminals

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from ..box.box import Box
    from ..box.child import Child
    from ..box.network import Network
    from ..box.supervisor_client import SupervisorClient
    from .profile import Profile

_EITHER = {"auto_stop": "auto_pause", "auto_pause": "auto_stop"}
_LISTENING = "0A"  # the state of a listening socket in /proc/net/tcp


@dataclass(slots=True)
class Intervals:
    """Minutes of idleness until the server stops, pauses, archives or deletes a sandbox.

    Auto-stop and auto-pause 0 mean never; one of them is 0. Auto-delete counts from the stop: 0 means at
    once, a negative value never.
    """

    auto_stop: int = 15
    auto_pause: int = 0
    auto_archive: int = 10080
    auto_delete: int = -1


@dataclass
class Description:
    """The properties that a client gives to a new sandbox. Not all of them have an effect here."""

    name: str
    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    public: bool = False
    target: str = "local"
    snapshot: str | None = None
    cpu: int = os.cpu_count() or 1  # enforced where there are control groups
    memory: int = limits.MEMORY_BYTES // limits.GIB or 1  # GiB
    disk: int = 10  # GiB; not enforced
    network_block_all: bool = False
    network_allow_list: str | None = None

    @property
    def size(self) -> Size:
        """The size of its box."""
        return Size(self.cpu, self.memory)


class Sandbox:
    """One sandbox in `box`. It calls `on_change` when its state or one of its intervals changes."""

    def __init__(
        self,
        box: Box,
        description: Description,
        network: Network,
        on_change: Callable[[Sandbox], None],
        timings: limits.Timings,
        profile: Profile,
    ) -> None:
        self.id = box.id
        self.profile = profile
        self.description = description
        self.intervals = Intervals()
        self.state = "creating"
        self.error_reason: str | None = None
        self.created_at = self.updated_at = self.last_activity_at = timestamp()
        self.active_at = self.stopped_at = time.monotonic()
        self.requests = 0  # in progress, among those that count as activity
        self.preview_token = secrets.token_urlsafe(24)
        self.layout = box.layout
        self.volumes = box.volumes
        self.sessions = Sessions(self.spawn, box, profile, timings.terminate_grace)
        self.files = Files(self._start_worker)
        self.terminals = Terminals(self.spawn)
        self.running_time = RunningTime()
        self.interpreter_contexts = InterpreterContexts(self.running_time)
        self._box = box
        self._network = network
        self._metrics = Metrics(description)
        self.previews = Previews(box.id, self.connect)
        self._supervisor: SupervisorClient | None = None
        self._stopped_earlier: frozenset[int] = frozenset()  # the processes that a resumption leaves alone
        self._on_change = on_change
        self._changing_state = asyncio.Lock()
        self._removal: asyncio.Future[None] | None = None

    def touch(self) -> None:
        """Count a request as activity."""
        self.active_at = time.monotonic()
        self.last_activity_at = timestamp()

    def set_interval(self, name: str, minutes: int) -> None:
        """Set the field `name` of the intervals. Auto-stop and auto-pause replace each other."""
        setattr(self.intervals, name, minutes)
        if minutes and name in _EITHER:
            setattr(self.intervals, _EITHER[name], 0)
        self._on_change(self)

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment that every child of this sandbox gets."""
        if self._box.image is not None:
            return image_environment(self.id, self.description.env, environment_of(self._box.image))
        return children_environment(self.layout, self.id, {**self._box.environment, **self.description.env})

    @property
    def charts_environment(self) -> dict[str, str]:
        """The variables with which code that runs once draws charts for its client."""
        backend = {"MPLBACKEND": f"module://{CHARTS_BACKEND}"}
        if self._box.image is None:
            return backend
        return {} if "PYTHONPATH" in self.environment else {**backend, "PYTHONPATH": IMAGE_SETTINGS}

    @property
    def work_dir(self) -> str:
        """The directory in which children start, and relative paths of requests."""
        return self.layout.home if self.profile.starts_at_home else self.layout.workspace

    async def start(self) -> None:
        """Start the box or continue it, unless the sandbox is started. Raises `ApiError` if that fails."""
        async with self._changing_state:
            before = self.state
            if before == "started":
                return
            if before == "paused":
                await self._resume()
                return
            if before != "creating":
                self._set_state("starting")
            await self._linger()
            try:
                self._supervisor = await self._box.start(self.description.size, self._network)
            except (OSError, RuntimeError) as error:
                problem = str(error).rstrip(".")
                self.error_reason = f"the sandbox did not start: {problem}"
                self._set_state("error" if before == "creating" else before)
                raise failures.untyped(f"The sandbox did not start: {problem}.") from error
            self._supervisor.lost.add_done_callback(self._on_lost)
            self._set_state("started")
            self.touch()

    def _on_lost(self, _: object) -> None:
        if self.state in ("started", "paused"):
            # Something else killed the supervisor. `stop` ends the children that it left.
            sys.stderr.write(f"sandbox {self.id}: its supervisor was killed\n")
            self._stopping = asyncio.ensure_future(self.stop())

    def _set_state(self, state: str) -> None:
        self.state = state
        self.updated_at = timestamp()
        self._on_change(self)

    async def _linger(self) -> None:
        if self.profile.passing_seconds:
            await asyncio.sleep(self.profile.passing_seconds)

    async def pause(self) -> None:
        """Freeze all processes, unless the sandbox is paused. Raises `ApiError` if that fails."""
        async with self._changing_state:
            if self.state != "started":
                return
            self._set_state("pausing")
            await self._linger()
            try:
                root = self._started_supervisor().first_pid
                self._stopped_earlier = await asyncio.to_thread(freeze, root)
            except (OSError, RuntimeError) as error:
                self._set_state("started")
                raise failures.untyped(f"The sandbox was not paused: {error}.") from error
            self.running_time.pause()
            self._set_state("paused")

    async def _resume(self) -> None:
        self._set_state("resuming")
        await self._linger()
        with contextlib.suppress(ProcessLookupError):  # then it has ended, and is stopped
            await asyncio.to_thread(thaw, self._started_supervisor().first_pid, self._stopped_earlier)
        self.running_time.resume()
        self._set_state("started")
        self.touch()

    async def stop(self) -> None:
        """End all processes and keep the files."""
        async with self._changing_state:
            if self.state not in ("started", "paused"):
                return
            self._set_state("stopping")
            await self._linger()
            await self._end_processes()
            self.running_time.resume()
            self.stopped_at = time.monotonic()
            self._set_state("stopped")

    async def _end_processes(self) -> None:
        self.files.close()
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            await supervisor.close()
        await self.previews.close()
        await self.sessions.close()
        await self.terminals.close()
        await self.interpreter_contexts.close()

    async def delete(self) -> None:
        """End all processes, and start to remove the directory."""
        async with self._changing_state:
            if self.state == "destroyed":
                return
            self._set_state("destroying")
            await self._linger()
            await self._end_processes()
            self._removal = asyncio.ensure_future(self._box.remove())
            self._set_state("destroyed")

    async def removed(self) -> None:
        """Return when the directory of the deleted sandbox is gone."""
        if self._removal is not None:
            await self._removal

    def _started_supervisor(self) -> SupervisorClient:
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
        """Start a child, as `Spawn` describes."""
        directory = self.absolute(cwd or self.work_dir)
        if any("\0" in text for text in (directory, *argv)):
            raise failures.bad_request("a directory or an argument cannot contain a NUL byte")
        return await self._started_supervisor().spawn(
            argv, env=self.environment | dict(env or {}), cwd=directory, stdio=stdio, terminal=terminal
        )

    async def _start_worker(self, program: str, channel: int) -> Child:
        supervisor = self._started_supervisor()
        return await supervisor.spawn_worker(program, channel, env=self.environment, cwd="/")

    async def connect(self, port: int) -> socket.socket:
        """Return a connection to a server in the sandbox. Raises `OSError` if nothing listens on `port`."""
        return await self._started_supervisor().connect(port)

    async def preview_url(self, port: int) -> str:
        """Return the URL of a server in the sandbox, for a browser on this machine. Raises `OSError`."""
        self._started_supervisor()
        return f"http://127.0.0.1:{port}" if self._network.kind == "host" else await self.previews.url(port)

    def listening_ports(self) -> set[int]:
        """Return the TCP ports of the sandbox's network on which a program listens."""
        pid = self._started_supervisor().first_pid
        found = set()
        for table in ("tcp", "tcp6"):
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                    _, local, _, state, *_ = line.split()
                    if state == _LISTENING:
                        found.add(int(local.rpartition(":")[2], 16))
        return found

    def describe_usage(self) -> dict[str, Any]:
        """Return what the sandbox's processes use now, in the API's JSON."""
        return self._metrics.describe(self._started_supervisor(), self._box.directory)

    def absolute(self, path: str) -> str:
        """Return `path` as an absolute path in the sandbox.

        `~` is the home, if the profile says so. Other relative paths start in the working directory.
        """
        if self.profile.expands_home and (path == "~" or path.startswith("~/")):
            return self.layout.home + path[1:]
        return os.path.normpath(os.path.join(self.work_dir, path))  # noqa: PTH118  # pathlib keeps `..`
