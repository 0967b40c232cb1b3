"""The preparation of a sandbox before a cell runs. The cells behind it wait, and keep their order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from .requests import MAIN_QUEUE

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ..host.host import Host
    from .notices import WaitingNotice
    from .requests import Request, StandIn


class UntilInterrupted(Protocol):
    """Awaits something for a cell, and raises an error if the reader interrupts the cell."""

    async def __call__(self, request: Request, awaited: Awaitable[Any], /) -> Any:
        """Return the result."""
        ...


class Preparation:
    """The preparation of cells of the main shell. It belongs to the relay's loop.

    request: the cell for which the sandbox is being prepared; None for none.
    """

    def __init__(
        self,
        host: Host,
        stand_in: StandIn,
        waiting_notice: WaitingNotice,
        until_interrupted: UntilInterrupted,
    ) -> None:
        self._host = host
        self._stand_in = stand_in
        self._waiting_notice = waiting_notice
        self._until_interrupted = until_interrupted
        self._turn = asyncio.Lock()  # a fair one: the cells get their turns in order
        self._inside = 0
        self.request: Request | None = None

    async def prepare(self, request: Request, code: str) -> None:
        """Return when the sandbox is prepared for a cell. Raises DaytonaError.

        Without anything to do this returns at once, without a turn of the loop.
        """
        if request.queue != MAIN_QUEUE or not (self._inside or self._host.script_packages.wants(code)):
            return
        self._inside += 1
        request.is_held = True
        try:
            self._stand_in.announce(request)
            await self._until_interrupted(request, self._turn.acquire())
            try:
                await self._work(request, code)
            finally:
                self._turn.release()
        finally:
            request.is_held = False
            self._inside -= 1

    async def _work(self, request: Request, code: str) -> None:
        if request.aborted or not self._host.script_packages.wants(code):
            return
        self.request = request
        try:
            self._waiting_notice.schedule()
            await self._until_interrupted(request, self._host.prepare(code))
        finally:
            self.request = None
