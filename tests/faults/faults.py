"""The faults of the matrix: each strikes a world, lasts a while, and passes or not."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tests.kernel.driver import has_ended, wait_until

from .proxy import Weather, Where
from .small_disk import SmallDiskWorld
from .world import NetworkWorld, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from daytona_kernel.client.sandbox import Sandbox

SECONDS = 1.0  # that a passing fault lasts
ROLES = ("kernel", "server", "supervisor", "agent", "interpreter")


@dataclass(frozen=True)
class Fault:
    """A fault. world: the kind of world that it strikes."""

    name: str
    world: ClassVar[type[World]] = World

    def strike(self, world: World) -> None:
        """Make it happen."""

    def last(self, world: World) -> None:
        """Wait for its end."""
        time.sleep(SECONDS)  # the fault itself is a span of time

    def relieve(self, world: World) -> None:
        """Let it pass, if it passes."""


@dataclass(frozen=True)
class NetworkFault(Fault):
    """A fault of the network. The kernel and its server know nothing of it but its effects."""

    where: Where
    happen: Callable[[NetworkWorld, Where], None]
    world = NetworkWorld

    def strike(self, world: World) -> None:
        assert isinstance(world, NetworkWorld)
        self.happen(world, self.where)

    def relieve(self, world: World) -> None:
        assert isinstance(world, NetworkWorld)
        world.proxy.clear()


@dataclass(frozen=True)
class SandboxFault(Fault):
    """An end of the sandbox by another client."""

    end: Callable[[Sandbox], None]
    world = NetworkWorld

    def strike(self, world: World) -> None:
        assert isinstance(world, NetworkWorld)
        with world.client() as daytona:
            for sandbox in list(daytona.list()):
                self.end(sandbox)

    def last(self, world: World) -> None:
        """It has happened already."""


@dataclass(frozen=True)
class Killed(Fault):
    """A process that is killed."""

    role: str

    def strike(self, world: World) -> None:
        if self.role == "kernel":
            world.processes()
            world.crash()
            return
        process = world.await_process(self.role)
        process.kill()
        wait_until(lambda: has_ended(process))

    def last(self, world: World) -> None:
        """It has happened already."""


@dataclass(frozen=True)
class Stopped(Fault):
    """A process that the system stops. continued: whether it goes on later."""

    role: str
    continued: bool

    def strike(self, world: World) -> None:
        process = world.await_process(self.role)
        os.kill(process.pid, signal.SIGSTOP)
        world.stopped = process

    def relieve(self, world: World) -> None:
        if self.continued:
            assert world.stopped is not None
            os.kill(world.stopped.pid, signal.SIGCONT)
        elif self.role == "kernel":
            world.crash()  # as a person does who sees a kernel that does not answer


@dataclass(frozen=True)
class FullDisk(Fault):
    """A full disk of the server and its sandboxes, with the temporary directories of all programs.

    emptied: whether there is room again later.
    """

    emptied: bool
    world = SmallDiskWorld

    def strike(self, world: World) -> None:
        assert isinstance(world, SmallDiskWorld)
        world.disk.fill()

    def relieve(self, world: World) -> None:
        assert isinstance(world, SmallDiskWorld)
        if self.emptied:
            world.disk.make_room()


def _of_network(name: str, happen: Callable[[NetworkWorld, Where], None]) -> list[NetworkFault]:
    return [NetworkFault(f"{name}, {where.value}", where, happen) for where in Where]


def _weather(weather: Weather) -> Callable[[NetworkWorld, Where], None]:
    return lambda world, where: world.proxy.begin(weather, where)


def _status(status: int) -> Callable[[NetworkWorld, Where], None]:
    return lambda world, where: world.proxy.refuse(status, where)


STATUSES = (401, 404, 429, 500, 502)

NETWORK_FAULTS: dict[str, list[NetworkFault]] = {
    "cut": _of_network("cut", lambda world, where: world.proxy.cut(where)),
    "stall": _of_network("stall", _weather(Weather.STALL)),
    "delay": _of_network("delay", _weather(Weather.DELAY)),
    "trickle": _of_network("trickle", _weather(Weather.TRICKLE)),
    "lost answers": _of_network("lost answers", _weather(Weather.MUTE)),
    "half-close": _of_network("half-close", lambda world, where: world.proxy.half_close(where)),
    "silent death": _of_network("silent death", lambda world, where: world.proxy.silence(where)),
    **{f"status {status}": _of_network(f"status {status}", _status(status)) for status in STATUSES},
}
SANDBOX_FAULTS = [
    SandboxFault("sandbox stopped", lambda sandbox: sandbox.stop()),
    SandboxFault("sandbox deleted", lambda sandbox: sandbox.delete()),
]
KILLED = [Killed(f"{role} killed", role) for role in ROLES]
PAUSED = [Stopped(f"{role} stopped and continued", role, continued=True) for role in ROLES]
STOPPED = [Stopped(f"{role} stopped for good", role, continued=False) for role in ROLES]
FULL = [FullDisk("disk full for a while", emptied=True), FullDisk("disk full", emptied=False)]

FAULTS: list[Fault] = [
    *(fault for faults in NETWORK_FAULTS.values() for fault in faults),
    *SANDBOX_FAULTS,
    *KILLED,
    *PAUSED,
    *STOPPED,
    *FULL,
]
