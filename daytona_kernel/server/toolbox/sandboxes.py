"""All sandboxes of the server, and the timers that pause, stop and delete idle ones."""

from __future__ import annotations

import asyncio
import contextlib
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .. import failures, limits
from ..box.bubblewrap import Bubblewrap
from ..box.bytecode import Bytecode
from ..box.control_group import Size
from ..box.network import Network
from ..box.warm_box import WarmBox
from .profile import OWN
from .sandbox import Description, Intervals, Sandbox

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from ..box.isolation import Isolation
    from ..limits import Timings
    from .profile import Profile

# The states that a sandbox leaves by itself.
_PASSING = ("creating", "starting", "stopping", "destroying", "pausing", "resuming")


class Sandboxes:
    """The sandboxes of one server, whose boxes are in `directory`. `None` isolates nothing.

    `snapshots` are the directories of the local snapshots, by name.
    """

    def __init__(
        self,
        directory: Path,
        isolation: Isolation | None,
        timings: Timings,
        snapshots: Mapping[str, str] = MappingProxyType({}),
        profile: Profile = OWN,
    ) -> None:
        self.snapshots = snapshots
        self.takes_snapshots = isinstance(isolation, Bubblewrap)
        self.folder = isolation.folder if isinstance(isolation, Bubblewrap) else None
        self._timings = timings
        self.profile = profile
        self._network = Network("host") if isolation is None else isolation.network
        self._bytecode = Bytecode(timings.bytecode_delay)
        size = Size(Description.cpu, Description.memory)
        self._warm_box = WarmBox(directory, isolation, size, timings.warm_box_delay)
        self._sandboxes: dict[str, Sandbox] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._running: set[asyncio.Future[None]] = set()  # stops and removals

    async def create(self, description: Description, intervals: Intervals) -> Sandbox:
        """Create and start a sandbox. Raises `ApiError` if the name is taken or at the limit.

        If the description has a snapshot, that is one of `snapshots`.
        """
        if len(self._sandboxes) >= limits.SANDBOXES:
            raise failures.too_many("sandboxes", limits.SANDBOXES)
        if any(other.description.name == description.name for other in self._sandboxes.values()):
            raise failures.ApiError(409, f"Sandbox with name {description.name} already exists", "CONFLICT")
        try:
            network = self._network.narrowed(
                block_all=description.network_block_all, allow_list=description.network_allow_list
            )
        except ValueError as error:
            raise failures.bad_request(str(error)) from None
        image = self.snapshots[description.snapshot] if description.snapshot else None
        box = self._warm_box.take(image)
        sandbox = Sandbox(box, description, network, self._reset_timer, self._timings, self.profile)
        sandbox.intervals = intervals
        description.name = description.name or f"sandbox-{sandbox.id[:8]}"
        self._sandboxes[sandbox.id] = sandbox
        try:
            await self._change(sandbox.start())
        except BaseException:
            await self._delete(sandbox)
            raise
        return sandbox

    async def start(self, sandbox: Sandbox) -> None:
        """Start a stopped sandbox, or resume a paused one. Raises `ApiError` if that fails."""
        self._refuse_passing(sandbox)
        await self._change(sandbox.start())

    async def pause(self, sandbox: Sandbox) -> None:
        """Freeze the sandbox's processes. Raises `ApiError` unless it is started."""
        self._refuse_passing(sandbox)
        if sandbox.state not in ("started", "paused"):
            raise failures.bad_request(f"sandbox is not started, it is {sandbox.state}")
        await self._change(sandbox.pause())

    async def stop(self, sandbox: Sandbox) -> None:
        """End the sandbox's processes and keep its files."""
        self._refuse_passing(sandbox)
        await self._change(sandbox.stop())

    def _refuse_passing(self, sandbox: Sandbox) -> None:
        if self.profile.passing_seconds and sandbox.state in _PASSING:
            raise failures.ApiError(400, "Sandbox state change in progress", "BAD_REQUEST")

    async def _change(self, change: Coroutine[Any, Any, None]) -> None:
        """Change the state of a sandbox, or only begin with it if the profile answers then."""
        if self.profile.passing_seconds:
            self._run(_without_answer(change))
            await asyncio.sleep(0)  # the change sets the passing state
        else:
            await change

    def work_ahead(self) -> None:
        """Start a box ahead, so that the next sandbox starts at once. Later, compile the packages."""
        self._warm_box.start()
        self._bytecode.start()

    def get(self, id_or_name: str) -> Sandbox:
        """Return the sandbox. Raises `ApiError` 404."""
        sandbox = self._sandboxes.get(id_or_name)
        if sandbox is None:
            named = (other for other in self._sandboxes.values() if other.description.name == id_or_name)
            sandbox = next(named, None)
        if sandbox is None:
            raise failures.ApiError(404, f"Sandbox with ID or name {id_or_name} not found", "NOT_FOUND")
        return sandbox

    def all(self) -> list[Sandbox]:
        """Return all sandboxes, the newest first."""
        return list(reversed(self._sandboxes.values()))

    async def delete(self, sandbox: Sandbox) -> None:
        """End the sandbox's processes and forget it. Its directory is removed in the background."""
        await self._change(self._delete(sandbox))

    async def _delete(self, sandbox: Sandbox) -> None:
        await sandbox.delete()
        if self._sandboxes.pop(sandbox.id, None) is not None:
            self._run(sandbox.removed())

    async def close(self) -> None:
        """Delete all sandboxes. Return when their directories are gone."""
        self._bytecode.close()
        await self._warm_box.close()
        await asyncio.gather(*(self._delete(sandbox) for sandbox in self.all()))
        while self._running:
            await asyncio.wait(self._running)

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _reset_timer(self, sandbox: Sandbox) -> None:
        """Set the timer for the moment when the sandbox is to be paused, stopped or deleted."""
        timer = self._timers.pop(sandbox.id, None)
        if timer is not None:
            timer.cancel()
        due = self._due(sandbox)
        if due is not None:
            loop = asyncio.get_running_loop()
            delay = max(0.0, due - time.monotonic())
            self._timers[sandbox.id] = loop.call_later(delay, self._on_timer, sandbox)

    def _on_timer(self, sandbox: Sandbox) -> None:
        due = self._due(sandbox)
        if due is None or due > time.monotonic():
            self._reset_timer(sandbox)  # there was activity since
        elif sandbox.state == "started":
            self._run(_without_answer(sandbox.pause()) if sandbox.intervals.auto_pause else sandbox.stop())
        else:
            self._run(self._delete(sandbox))

    def _due(self, sandbox: Sandbox) -> float | None:
        """Return the monotonic time at which the sandbox is paused, stopped or deleted if it stays idle."""
        intervals = sandbox.intervals
        idle = intervals.auto_pause or intervals.auto_stop
        if sandbox.state == "started" and idle > 0:
            idle_since = time.monotonic() if sandbox.requests else sandbox.active_at
            return idle_since + idle * self._timings.minute
        if sandbox.state == "stopped" and intervals.auto_delete >= 0:
            return sandbox.stopped_at + intervals.auto_delete * self._timings.minute
        return None


async def _without_answer(change: Coroutine[Any, Any, None]) -> None:
    """Carry out a change whose request has its answer already. The state of the sandbox tells a failure."""
    with contextlib.suppress(failures.ApiError):
        await change
