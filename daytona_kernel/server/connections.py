"""The HTTP server's connections. Those without the key cannot crowd out the owner's.

A connection belongs to a stranger until a request on it has shown the key or a preview token. Strangers have
a few seconds and a share of the connections. When the share is used up, the server closes the oldest
stranger's connection. So it can always accept the owner's next connection, and that connection shows the key
at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import tornado.httpserver

from . import limits

if TYPE_CHECKING:
    from tornado.iostream import IOStream


class BoundedServer(tornado.httpserver.HTTPServer):
    """An HTTP server with a limited number of connections."""

    def initialize(self, *args: Any, **options: Any) -> None:
        super().initialize(*args, **options)
        self._strangers: dict[IOStream, asyncio.TimerHandle] = {}
        self._known: set[IOStream] = set()

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        if len(self._strangers) >= limits.STRANGERS:
            self._end(next(iter(self._strangers)))
        if len(self._known) >= limits.SOCKETS:
            stream.close()
            return
        loop = asyncio.get_running_loop()
        self._strangers[stream] = loop.call_later(limits.STRANGER_SECONDS, self._end, stream)
        super().handle_stream(stream, address)

    def know(self, stream: IOStream) -> None:
        """Note that the client of this connection has shown the key."""
        timer = self._strangers.pop(stream, None)
        if timer is not None:
            timer.cancel()
            self._known.add(stream)

    def on_close(self, server_conn: Any) -> None:
        self._known.discard(server_conn.stream)
        timer = self._strangers.pop(server_conn.stream, None)
        if timer is not None:
            timer.cancel()
        super().on_close(server_conn)

    def _end(self, stranger: IOStream) -> None:
        timer = self._strangers.pop(stranger, None)
        if timer is not None:
            timer.cancel()
            stranger.close()
