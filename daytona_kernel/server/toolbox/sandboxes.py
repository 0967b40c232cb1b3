"""All sandboxes of the server, and the clocks that stop and delete them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from .. import failures, limits
from ..box.warm import SpareGround
from .sandbox import Description, Intervals, Sandbox

if TYPE_CHECKING:
    from pathlib import Path


class Sandboxes:
    """The sandboxes under the directory `root`, by id and by name."""

    def __init__(self, root: Path, isolation: str) -> None:
        self.isolation = isolation
        self._spare = SpareGround(root, isolation, Description.memory)
        self._sandboxes: dict[str, Sandbox] = {}
        self._clocks: dict[str, asyncio.TimerHandle] = {}
        self._removing: set[asyncio.Future[None]] = set()

    async def create(self, description: Description, intervals: Intervals) -> Sandbox:
        """Create and start a sandbox. Raises `ApiError` when the name is taken or there are too many."""
        if len(self._sandboxes) >= limits.SANDBOXES:
            raise failures.too_many("sandboxes", limits.SANDBOXES)
        if any(other.description.name == description.name for other in self._sandboxes.values()):
            raise failures.ApiError(409, f"Sandbox with name {description.name} already exists", "CONFLICT")
        sandbox = Sandbox(self._spare.take(), description, self._reset_clock)
        sandbox.intervals = intervals
        description.name = description.name or f"sandbox-{sandbox.id[:8]}"
        self._sandboxes[sandbox.id] = sandbox
        try:
            await sandbox.start()
        except BaseException:
            await self.delete(sandbox)
            raise
        return sandbox

    def prepare(self) -> None:
        """Prepare what the next sandbox stands on, so that it is created at once."""
        self._spare.prepare()

    def get(self, id_or_name: str) -> Sandbox:
        """Return a sandbox. Raises `ApiError` 404."""
        sandbox = self._sandboxes.get(id_or_name)
        if sandbox is None:
            named = [one for one in self._sandboxes.values() if one.description.name == id_or_name]
            if not named:
                raise failures.ApiError(404, f"Sandbox with ID or name {id_or_name} not found", "NOT_FOUND")
            sandbox = named[0]
        return sandbox

    def all(self) -> list[Sandbox]:
        """Return the sandboxes, the newest first."""
        return list(reversed(self._sandboxes.values()))

    async def delete(self, sandbox: Sandbox) -> None:
        """End the sandbox's processes and forget it; its directory goes in the background."""
        await sandbox.delete()
        if self._sandboxes.pop(sandbox.id, None) is not None:
            removing = asyncio.ensure_future(sandbox.removed())
            self._removing.add(removing)
            removing.add_done_callback(self._removing.discard)

    async def close(self) -> None:
        """Delete all; return when nothing is left of them."""
        await self._spare.close()
        await asyncio.gather(*(self.delete(sandbox) for sandbox in self.all()))
        await asyncio.gather(*self._removing)

    def _reset_clock(self, sandbox: Sandbox) -> None:
        """Look again when the sandbox may be due to be stopped or deleted."""
        clock = self._clocks.pop(sandbox.id, None)
        if clock is not None:
            clock.cancel()
        due = _due(sandbox)
        if due is not None:
            loop = asyncio.get_running_loop()
            delay = max(0.0, due - time.monotonic())
            self._clocks[sandbox.id] = loop.call_later(delay, self._look, sandbox)

    def _look(self, sandbox: Sandbox) -> None:
        due = _due(sandbox)
        if due is None or due > time.monotonic():
            self._reset_clock(sandbox)  # there was activity since
        elif sandbox.state == "started":
            self._move = asyncio.ensure_future(sandbox.stop())
        else:
            self._move = asyncio.ensure_future(self.delete(sandbox))


def _due(sandbox: Sandbox) -> float | None:
    """Return when, in monotonic seconds, the sandbox is to be stopped or deleted if nothing happens."""
    intervals = sandbox.intervals
    if sandbox.state == "started" and intervals.auto_stop > 0:
        since = time.monotonic() if sandbox.requests else sandbox.active_at
        return since + intervals.auto_stop * limits.MINUTE
    if sandbox.state == "stopped" and intervals.auto_delete >= 0:
        return sandbox.stopped_at + intervals.auto_delete * limits.MINUTE
    return None
