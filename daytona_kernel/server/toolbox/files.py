"""A sandbox's files. A worker process inside the sandbox carries out each operation."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import failures
from ..failures import ApiError
from ..inside import file_worker
from ..inside.supervisor import receive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_PROGRAM = Path(file_worker.__file__).read_text()


class Files:
    """The file operations of one sandbox. The first operation starts the worker.

    `start_worker` runs a Python program in the sandbox. Its arguments are the program's text and the
    descriptor that becomes the program's stdin.
    """

    def __init__(self, start_worker: Callable[[str, int], Awaitable[object]]) -> None:
        self._start_worker = start_worker
        self._channel: socket.socket | None = None
        self._lock = asyncio.Lock()

    async def run(self, operation: str, **arguments: Any) -> Any:
        """Run an operation of the worker and return its result. Raises `ApiError`."""
        result, _ = await self._request(operation, arguments)
        return result

    async def open(self, path: str, *, write: bool) -> tuple[int, int]:
        """Open the regular file `path`. Return a descriptor, which the caller closes, and the file's size."""
        size, fds = await self._request("open", {"path": path, "write": write})
        return fds[0], size

    async def _request(self, operation: str, arguments: dict[str, Any]) -> tuple[Any, list[int]]:
        async with self._lock:
            try:
                channel = self._channel or await self._start()
                request = json.dumps([operation, arguments]).encode()
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(channel, file_worker.LENGTH.pack(len(request)) + request)
                length, fds = await _receive_with_fds(channel, file_worker.LENGTH.size)
                body = await _receive(channel, file_worker.LENGTH.unpack(length)[0])
            except (OSError, EOFError):
                self.close()  # the next operation starts a new worker
                raise failures.untyped(
                    "the file operation failed: the sandbox has stopped, or its file worker was killed"
                ) from None
            except asyncio.CancelledError:
                self.close()
                raise
        answer = json.loads(body)
        if "errno" in answer:
            raise _failure(answer["errno"], answer["reason"], answer["path"])
        return answer["result"], fds

    async def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._channel = ours
            ours.setblocking(False)
            await self._start_worker(_PROGRAM, theirs.fileno())
        return ours

    def close(self) -> None:
        """Close the channel, which ends the worker."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


async def _receive(channel: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = await asyncio.get_running_loop().sock_recv(channel, size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


async def _receive_with_fds(channel: socket.socket, size: int) -> tuple[bytes, list[int]]:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(channel.fileno(), _resolve, readable)
    try:
        await readable
    finally:
        loop.remove_reader(channel.fileno())
    data, fds = receive(channel, size, 1)
    if not data:
        raise EOFError
    return data + await _receive(channel, size - len(data)), fds


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _failure(number: int, reason: str, path: str) -> ApiError:
    message = f"{reason.lower()}: {path}" if path else reason.lower()
    if number in (errno.ENOENT, errno.ENOTDIR):
        return ApiError(404, f"not found: {message}", "FILE_NOT_FOUND")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ApiError(403, f"forbidden: {message}", "FILE_ACCESS_DENIED")
    if number == errno.EEXIST:
        return failures.conflict(message)
    return failures.bad_request(message)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data` to a regular file."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
