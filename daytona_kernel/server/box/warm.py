"""What a sandbox stands on: a private directory, and a supervisor. One is kept ready for who comes next.

Starting a supervisor takes tens of milliseconds, most of them Python's and bubblewrap's own. So the
server starts one ahead, when it begins to listen. From the second sandbox on it starts another
whenever one has been taken and that sandbox has had time to begin its work: a kernel makes one
sandbox and should not pay for two, and who makes a second will make more. A spare is no sandbox:
it has no description and is not listed, and nothing runs in it. It ends with the server, however
that ends, as every supervisor does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import uuid
from typing import TYPE_CHECKING

from .. import limits
from .bubblewrap import SUPERVISOR_SEEN_AS, isolating_command
from .isolation import PARTS, layout_of
from .python_environment import make_python_environment
from .supervisor import SUPERVISOR_PROGRAM, SupervisorClient

if TYPE_CHECKING:
    from pathlib import Path


class Ground:
    """The directory `root` of a sandbox `id`, and where its children see the parts of that."""

    def __init__(self, directory: Path, isolation: str) -> None:
        self.id = str(uuid.uuid4())
        self.isolation = isolation
        self.root = directory / self.id
        self.layout = layout_of(self.root, isolation)
        self._preparing: asyncio.Task[SupervisorClient] | None = None
        self._memory = 0

    def prepare(self, memory: int) -> None:
        """Begin to start the supervisor, whose children may use `memory` GiB."""
        self._memory = memory
        self._preparing = asyncio.create_task(self._start_supervisor(memory))

    async def supervisor(self, memory: int) -> SupervisorClient:
        """Return a running supervisor whose children may use `memory` GiB: the prepared one if it fits.

        Raises `OSError` or `RuntimeError` when it cannot be started.
        """
        prepared = await self._prepared()
        if prepared is not None:
            if self._memory == memory and not prepared.lost.done():
                return prepared
            await prepared.close()
        return await self._start_supervisor(memory)

    async def _prepared(self) -> SupervisorClient | None:
        preparing, self._preparing = self._preparing, None
        if preparing is None:
            return None
        try:
            return await preparing
        except (OSError, RuntimeError):
            return None  # it is started again when it is asked for, and then the failure is told

    async def remove(self) -> None:
        """End what was prepared, take the directory out of the way at once, and apart in a thread."""
        prepared = await self._prepared()
        if prepared is not None:
            await prepared.close()
        doomed = self.root.with_name(f".{self.id}")
        with contextlib.suppress(FileNotFoundError):
            self.root.rename(doomed)
            await asyncio.to_thread(shutil.rmtree, doomed, ignore_errors=True)

    def _make_directories(self) -> None:
        self.root.mkdir(mode=0o700, parents=True)
        for part in PARTS:
            if part != "python":
                (self.root / part).mkdir(mode=0o700)
        (self.root / "logs").mkdir(mode=0o700)
        make_python_environment(self.root / "python", self.layout.python)

    async def _start_supervisor(self, memory: int) -> SupervisorClient:
        if not self.root.exists():
            self._make_directories()
        log = os.open(
            self.root / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        try:
            if self.isolation == "none":
                return await SupervisorClient.start([], str(SUPERVISOR_PROGRAM), "", log)
            command = isolating_command(self.root, str(SUPERVISOR_PROGRAM))
            return await SupervisorClient.start(command, SUPERVISOR_SEEN_AS, _resource_limits(memory), log)
        finally:
            os.close(log)


def _resource_limits(memory: int) -> str:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    bytes_ = min(memory * limits.GIB, int(total * limits.MEMORY_FRACTION))
    bounds = limits.RESOURCE_LIMITS | {"DATA": bytes_}
    return ",".join(f"{name}={value}" for name, value in bounds.items())


class SpareGround:
    """At most one prepared ground in `directory`; its children may use `memory` GiB."""

    def __init__(self, directory: Path, isolation: str, memory: int) -> None:
        self._directory = directory
        self._isolation = isolation
        self._memory = memory
        self._spare: Ground | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._taken = 0

    def prepare(self) -> None:
        """Begin to prepare one, if there is none."""
        if self._spare is None:
            self._spare = Ground(self._directory, self._isolation)
            self._spare.prepare(self._memory)

    def take(self) -> Ground:
        """Return the spare, or ground with nothing on it yet; another may follow in a while."""
        taken, self._spare = self._spare, None
        self._taken += 1
        self._stop_clock()
        if self._taken > 1:
            self._clock = asyncio.get_running_loop().call_later(limits.SPARE_DELAY, self.prepare)
        return taken or Ground(self._directory, self._isolation)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()

    async def close(self) -> None:
        """Remove the spare."""
        self._stop_clock()
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.remove()
