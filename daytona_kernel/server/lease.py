"""What keeps an embedded server alive: requests to `/lease` that stay open.

Whoever starts a server holds one. When the last closes, because its holder let go or died, the
server waits a moment for another, as a restarted kernel's, and then ends.
"""

from __future__ import annotations

import asyncio
import json

import tornado.iostream

from ..wire import routes
from . import limits
from .handlers.request import ApiHandler


class Leases:
    """Counts the open leases; `ended` resolves when there has been none for the grace.

    `about` is what who takes one is told of the server, as JSON in a header.
    """

    def __init__(self, about: dict[str, str]) -> None:
        self.about = about
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._open = 0
        self._clock = self._loop.call_later(limits.FIRST_LEASE_GRACE, self.end)

    def take(self) -> None:
        self._open += 1
        self._clock.cancel()

    def release(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._clock.cancel()
            self._clock = self._loop.call_later(limits.LEASE_GRACE, self.end)

    def end(self) -> None:
        """End now, whoever holds a lease."""
        if not self.ended.done():
            self.ended.set_result(None)


class LeaseHandler(ApiHandler):
    def initialize(self, leases: Leases) -> None:
        self._leases = leases
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def get(self) -> None:
        self._leases.take()
        try:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.set_header(routes.LEASE_HEADER, json.dumps(self._leases.about))
            self.write("held\n")
            await self.flush()
            await asyncio.wait([self._closed, self._leases.ended], return_when=asyncio.FIRST_COMPLETED)
        except tornado.iostream.StreamClosedError:
            pass
        finally:
            self._leases.release()

    def on_connection_close(self) -> None:
        if not self._closed.done():
            self._closed.set_result(None)

    def delete(self) -> None:
        self.set_status(204)
        self.finish()
        self._leases.end()
