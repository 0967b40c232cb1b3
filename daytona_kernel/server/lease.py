"""Leases: requests to `/lease` that stay open and keep an embedded server alive.

The process that starts a server holds the first lease. A lease ends when its holder closes it or dies.
After the last one, the server waits for a grace period, so that a restarted kernel can take over.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import tornado.iostream

from ..wire import routes
from .handlers.request import ApiHandler

if TYPE_CHECKING:
    from .limits import Timings


class Leases:
    """The count of open leases. `ended` resolves when there has been none for the grace period.

    `about` describes the server. Each lease's answer carries it as JSON in a header.
    """

    def __init__(self, about: dict[str, str], timings: Timings) -> None:
        self.about = about
        self._grace = timings.lease_grace
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._open = 0
        self._timer = self._loop.call_later(timings.first_lease_grace, self.end)

    def open(self) -> None:
        """Count one more lease."""
        self._open += 1
        self._timer.cancel()

    def close(self) -> None:
        """Count one lease less. The last one starts the grace period."""
        self._open -= 1
        if self._open == 0:
            self._timer.cancel()
            self._timer = self._loop.call_later(self._grace, self.end)

    def end(self) -> None:
        """End the server now, even if there are open leases."""
        if not self.ended.done():
            self.ended.set_result(None)


class LeaseHandler(ApiHandler):
    """`GET` opens a lease, which lasts as long as the request. `DELETE` ends the server."""

    def initialize(self, leases: Leases) -> None:
        self._leases = leases
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def get(self) -> None:
        self._leases.open()
        try:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.set_header(routes.LEASE_HEADER, json.dumps(self._leases.about))
            self.write("held\n")
            await self.flush()
            await asyncio.wait([self._closed, self._leases.ended], return_when=asyncio.FIRST_COMPLETED)
        except tornado.iostream.StreamClosedError:
            pass
        finally:
            self._leases.close()

    def on_connection_close(self) -> None:
        if not self._closed.done():
            self._closed.set_result(None)

    def delete(self) -> None:
        self.set_status(204)
        self.finish()
        self._leases.end()
