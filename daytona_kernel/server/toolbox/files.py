"""A sandbox's files. A worker process inside the sandbox carries out each operation.

The worker is part of the sandbox, so its answers are checked like those of an attacker. Contents of files
travel through sockets that the server makes. So the server never waits for a file of a sandbox, and takes no
descriptor out of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import failures, limits
from ..failures import ApiError
from ..inside import file_worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

_PROGRAM = Path(file_worker.__file__).read_text()
_ANSWER_BYTES = 64 * limits.KIB  # to the write of a file


class _Channel:
    """A connection to the worker, of which `end` is the server's end. Any task may close it at any time.

    asyncio goes on watching the number of a descriptor that is closed while a task waits for it, and then
    does not watch the next descriptor with this number. So the task that waits is the one that closes it.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self.end = end
        self._waiting = 0
        self._closed = False

    async def receive(self, size: int) -> bytes:
        """Return up to `size` bytes; nothing at the end, or after `close`. Raises `OSError`."""
        with self._in_use():
            return await asyncio.get_running_loop().sock_recv(self.end, size)

    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises `OSError`, also after `close`."""
        with self._in_use():
            await asyncio.get_running_loop().sock_sendall(self.end, data)

    def close(self) -> None:
        """Close the connection, and end the operations that wait."""
        self._closed = True
        if self._waiting:
            with contextlib.suppress(OSError):
                self.end.shutdown(socket.SHUT_RDWR)
        else:
            self.end.close()

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            if self._closed:
                self.close()


class FileStream:
    """The content of one file on its way into or out of the sandbox."""

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel

    async def read(self, size: int) -> bytes:
        """Return up to `size` bytes of the content; nothing at its end, or after `close`."""
        with contextlib.suppress(OSError):
            return await self._channel.receive(size)
        return b""

    async def write(self, data: bytes) -> None:
        """Write more of the content, no faster than the sandbox takes it. Raises `ApiError`."""
        try:
            await self._channel.send(data)
        except OSError:
            await self.finish()  # the worker has given up, and its answer says why

    async def finish(self) -> None:
        """Wait until all of the content is in the file. Raises `ApiError`."""
        answer = b""
        with contextlib.suppress(OSError):
            self._channel.end.shutdown(socket.SHUT_WR)
            while len(answer) < _ANSWER_BYTES and (piece := await self.read(_ANSWER_BYTES)):
                answer += piece
        _result_of(answer)

    def close(self) -> None:
        """Close the stream. Reads and writes that wait return."""
        self._channel.close()


class Files:
    """The file operations of one sandbox. The first operation starts the worker.

    `start_worker` runs a Python program in the sandbox. Its arguments are the program's text and the
    descriptor that becomes the program's stdin.
    """

    def __init__(self, start_worker: Callable[[str, int], Awaitable[object]]) -> None:
        self._start_worker = start_worker
        self._channel: _Channel | None = None
        self._lock = asyncio.Lock()

    async def run(self, operation: str, **arguments: Any) -> Any:
        """Run an operation of the worker and return its result. Raises `ApiError`."""
        return await self._request(operation, arguments)

    async def read(self, path: str) -> tuple[FileStream, int]:
        """Return the content of the regular file `path`, for the caller to close, and its size."""
        stream, size = await self._open("read", path)
        if type(size) is not int or not 0 <= size < 1 << 63:
            stream.close()
            raise _broken()
        return stream, size

    async def write(self, path: str) -> FileStream:
        """Create or empty the regular file `path`. Return its content, for the caller to write and close.

        Failures come later, from the content.
        """
        stream, _ = await self._open("write", path)
        return stream

    async def _open(self, operation: str, path: str) -> tuple[FileStream, object]:
        ours, theirs = socket.socketpair()
        stream = FileStream(_Channel(ours))
        try:
            with theirs:
                size = await self._request(operation, {"path": path}, [theirs.fileno()])
        except BaseException:
            stream.close()
            raise
        return stream, size

    async def _request(self, operation: str, arguments: dict[str, Any], fds: list[int] | None = None) -> Any:
        async with self._lock:
            try:
                channel = self._channel or await self._start()
                request = json.dumps([operation, arguments]).encode()
                # No other request is in the channel, so there is room for the length.
                socket.send_fds(channel.end, [file_worker.LENGTH.pack(len(request))], fds or [])
                await channel.send(request)
                if operation == "write":
                    return None
                (length,) = file_worker.LENGTH.unpack(await _receive(channel, file_worker.LENGTH.size))
                body = await _receive(channel, length)
            except (OSError, EOFError):
                self.close()  # the next operation starts a new worker
                raise _broken() from None
            except asyncio.CancelledError:
                self.close()
                raise
        return _result_of(body)

    async def _start(self) -> _Channel:
        ours, theirs = socket.socketpair()
        with theirs:
            self._channel = channel = _Channel(ours)
            await self._start_worker(_PROGRAM, theirs.fileno())
        return channel

    def close(self) -> None:
        """Close the channel, which ends the worker."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


async def _receive(channel: _Channel, size: int) -> bytes:
    if size > limits.BODY_BYTES:
        raise EOFError
    data = bytearray()
    while len(data) < size:
        piece = await channel.receive(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def _result_of(answer: bytes) -> Any:
    """Return the result in an answer of the worker. Raises `ApiError` for everything else."""
    try:
        content = json.loads(answer)
        if "errno" not in content:
            return content["result"]
        number, reason, path = (content[key] for key in ("errno", "reason", "path"))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _broken() from None
    if type(number) is not int or not isinstance(reason, str) or not isinstance(path, str):
        raise _broken()
    raise _failure(number, reason, path)


def _broken() -> ApiError:
    return failures.untyped(
        "The file operation failed: the sandbox has stopped, or its file worker was killed."
    )


def _failure(number: int, reason: str, path: str) -> ApiError:
    message = f"{reason.lower()}: {path}" if path else reason.lower()
    if number in (errno.ENOENT, errno.ENOTDIR):
        return ApiError(404, f"not found: {message}", "FILE_NOT_FOUND")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ApiError(403, f"forbidden: {message}", "FILE_ACCESS_DENIED")
    if number == errno.EEXIST:
        return failures.conflict(message)
    return failures.bad_request(message)
