"""The preparation of a sandbox before a cell runs. The cells behind it wait, and keep their order.

The packages of a script block come first, while the interpreter may still be starting. The project follows
when the interpreter is there. A cell that the kernel runs alone gets no project.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .requests import MAIN_QUEUE, WaitInterruptedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..host.host import Host
    from .notices import WaitingNotice
    from .requests import Request, StandIn

_UNSENT = "The project was still on its way to the sandbox, and nothing of the cell has run. Run it again."


class Preparation:
    """The preparation of cells. It belongs to the relay's loop.

    request: the cell for which packages are being installed; None for none.
    """

    def __init__(self, host: Host, stand_in: StandIn, waiting_notice: WaitingNotice) -> None:
        self._host = host
        self._stand_in = stand_in
        self._waiting_notice = waiting_notice
        # Locks are fair: the cells get their turns in order.
        self._packages_turn = asyncio.Lock()
        self._project_turn = asyncio.Lock()
        self._inside = 0
        self.request: Request | None = None

    async def install_packages(self, request: Request, code: str) -> None:
        """Return when the sandbox has the packages for a cell of the main shell. Raises DaytonaError.

        Without anything to do this returns at once, without a turn of the loop.
        """
        if request.queue != MAIN_QUEUE or not (self._inside or self._host.script_packages.wants(code)):
            return
        self._inside += 1
        try:
            with self._hold(request):
                await request.until_interrupted(self._packages_turn.acquire())
                try:
                    await self._install(request, code)
                finally:
                    self._packages_turn.release()
        finally:
            self._inside -= 1

    async def _install(self, request: Request, code: str) -> None:
        if request.aborted or not self._host.script_packages.wants(code):
            return
        self.request = request
        try:
            self._waiting_notice.schedule()
            await request.until_interrupted(self._host.install_packages(code))
        finally:
            self.request = None

    async def send_project(self, request: Request, code: str) -> None:
        """Send what has changed in the project, for a cell of any queue. Raises DaytonaError."""
        with self._hold(request):
            try:
                async with self._project_turn:
                    is_concerned = self._host.kernel_sandbox.project.concerns(request.message, code)
                    if is_concerned and not request.aborted and not request.interrupted.is_set():
                        await request.until_interrupted(self._host.send_project(request.message))
            except WaitInterruptedError:
                raise WaitInterruptedError(_UNSENT) from None
        if request.interrupted.is_set():
            raise WaitInterruptedError(_UNSENT)

    @contextmanager
    def _hold(self, request: Request) -> Iterator[None]:
        """Mark a cell as held while it waits here, so that an interrupt of it does not go to the sandbox."""
        self._stand_in.announce(request)
        request.is_held = True
        try:
            yield
        finally:
            request.is_held = False
