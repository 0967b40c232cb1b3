"""The TCP sockets of a box's network, which its supervisor makes inside and the server connects."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from typing import TYPE_CHECKING, Any

from .. import limits
from ..inside import supervisor as program
from .child import new_future, stopped

if TYPE_CHECKING:
    from collections.abc import Callable


class BoxSockets:
    """The sockets of one box. `send` sends a request to its supervisor."""

    def __init__(self, send: Callable[[tuple[Any, ...]], None]) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._closed = False

    async def connect(self, port: int) -> socket.socket:
        """Return a connection to `port` of the box's loopback.

        Raises `OSError` if nothing listens there, and `ApiError` 400 if the sandbox has stopped.
        """
        try:
            return await self._connect(socket.AF_INET, "127.0.0.1", port)
        except ConnectionRefusedError:
            return await self._connect(socket.AF_INET6, "::1", port)

    async def _connect(self, family: int, host: str, port: int) -> socket.socket:
        opened = await self._open(family)
        try:
            async with asyncio.timeout(limits.CONNECT_TIMEOUT):
                await self._loop.sock_connect(opened, (host, port))
        except BaseException:
            opened.close()
            raise
        return opened

    async def _open(self, family: int) -> socket.socket:
        """Return a socket that is not connected."""
        if self._closed:
            raise stopped()
        number = next(self._numbers)
        future = self._waiting[number] = new_future()
        self._send((program.SOCKET, number, int(family)))
        try:
            async with asyncio.timeout(limits.CONNECT_TIMEOUT):
                opened = socket.socket(fileno=await future)
        finally:
            self._waiting.pop(number, None)
        if opened.family != family or opened.type != socket.SOCK_STREAM:
            opened.close()
            raise ConnectionAbortedError("the sandbox sent another kind of socket")
        opened.setblocking(False)
        return opened

    def take(self, number: int, error: int, fds: list[int]) -> None:
        """Take a socket from `fds`, or the number of the error that came in its place."""
        waiting = self._waiting.pop(number, None)
        if waiting is None or waiting.done():
            return
        if len(fds) == 1:
            waiting.set_result(fds.pop())
        else:
            waiting.set_exception(OSError(error, os.strerror(error)))

    def close(self) -> None:
        """Open no more sockets, since the supervisor has ended."""
        self._closed = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionAbortedError("the sandbox has stopped"))
