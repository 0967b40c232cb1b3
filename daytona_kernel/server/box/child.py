"""A process tree that a supervisor has started in its box. Futures tell when it starts and ends."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import failures
from ..inside import supervisor as program

if TYPE_CHECKING:
    from collections.abc import Callable


def new_future() -> asyncio.Future[int]:
    """Return a future of the running loop."""
    return asyncio.get_running_loop().create_future()


def stopped() -> failures.ApiError:
    """Return the error of a request to a sandbox that has stopped."""
    return failures.bad_request("the sandbox has stopped")


@dataclass(eq=False)
class Child:
    """The root of a process tree in a sandbox.

    `send` sends a request to its supervisor. `exit` resolves to its exit code, or to the negated signal that
    killed it. `gone` resolves when its whole tree has ended, including orphans. `terminal` is the master of
    its terminal; the caller of `spawn` owns that descriptor.
    """

    number: int
    send: Callable[[tuple[Any, ...]], None]
    pid: int = 0  # inside the sandbox
    terminal: int | None = None
    started: asyncio.Future[int] = field(default_factory=new_future)
    exit: asyncio.Future[int] = field(default_factory=new_future)
    gone: asyncio.Future[int] = field(default_factory=new_future)

    def signal(self, signum: int) -> None:
        """Send `signum` to every process of the tree."""
        self.send((program.SIGNAL, self.number, int(signum)))

    async def terminate(self, grace: float) -> None:
        """Send SIGTERM to the tree, and SIGKILL after `grace` seconds. Return when all of it has ended."""
        if self.gone.done():
            return
        self.signal(signal.SIGTERM)
        done, _ = await asyncio.wait([self.gone], timeout=grace)
        if not done:
            await self.kill()

    async def kill(self) -> None:
        """Kill the tree. Return when all of it has ended."""
        if not self.gone.done():
            self.signal(signal.SIGKILL)
            await asyncio.wait([self.gone])

    def take(self, kind: int, value: int, fds: list[int]) -> bool:
        """Take a report of the supervisor, and perhaps one of `fds`. Return whether it is the last one."""
        if kind == program.STARTED and not self.started.done():
            self.pid = value
            self.terminal = fds.pop() if fds and os.isatty(fds[-1]) else None
            self.started.set_result(value)
        elif kind == program.FAILED and not self.started.done():
            self.started.set_exception(OSError(value, os.strerror(value)))
            return True
        elif kind == program.EXITED and not self.exit.done():
            self.exit.set_result(os.waitstatus_to_exitcode(value & 0xFFFF))
        elif kind == program.GONE:
            self.end()
            return True
        return False

    def end(self) -> None:
        """Note that the whole tree has ended, also if its supervisor has not reported that."""
        if not self.started.done():
            self.started.set_exception(stopped())
        for future in (self.exit, self.gone):
            if not future.done():
                future.set_result(-signal.SIGKILL)
