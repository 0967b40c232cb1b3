"""A sandbox's files, through the worker that touches them in the sandbox."""

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
    from .sandbox import Sandbox

_PROGRAM = Path(file_worker.__file__).read_text()


class Files:
    """The file operations of one started sandbox; the worker is started with the first."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._channel: socket.socket | None = None
        self._turn = asyncio.Lock()

    async def call(self, operation: str, **arguments: Any) -> Any:
        """Run an operation of the worker and return its result. Raises `ApiError` for its errors."""
        result, _ = await self._ask(operation, arguments)
        return result

    async def open(self, path: str, *, write: bool) -> tuple[int, int]:
        """Open the regular file `path`; return a descriptor, which the caller closes, and its size."""
        size, fds = await self._ask("open", {"path": path, "write": write})
        return fds[0], size

    async def _ask(self, operation: str, arguments: dict[str, Any]) -> tuple[Any, list[int]]:
        async with self._turn:
            try:
                channel = self._channel or await self._start()
                request = json.dumps([operation, arguments]).encode()
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(channel, file_worker.LENGTH.pack(len(request)) + request)
                length, fds = await _receive_with_fds(channel, file_worker.LENGTH.size)
                body = await _receive(channel, file_worker.LENGTH.unpack(length)[0])
            except (OSError, EOFError):
                self.close()  # the next operation starts another worker
                raise failures.untyped("the sandbox has stopped, or its file worker was killed") from None
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
            await self._sandbox.supervisor.spawn_worker(
                _PROGRAM, theirs.fileno(), env=self._sandbox.environment, cwd="/"
            )
        return ours

    def close(self) -> None:
        """Let the worker go."""
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
    """Write `data` to a regular file."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
