"""Terminals: shells on pseudo-terminals. Any number of clients may watch one and type into it.

A terminal has one buffer of output, and each client has its own position in it. While a client lags, the
server reads nothing more from the terminal, so the client loses nothing. Without clients the server drops
the oldest output; a client that attaches later sees the tail.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import termios
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import failures, limits
from ..box.pipes import PipeReader, PipeWriter
from ..timestamps import timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..box.child import Child
    from .spawn import Spawn

MAX_SIZE = 1000  # rows or columns


@dataclass(eq=False)
class Terminal:
    """One terminal. `exit_code` is `None` until its shell has ended.

    With `lazy`, the shell starts when the first client connects.
    """

    id: str
    cwd: str
    env: dict[str, str]
    rows: int
    cols: int
    lazy: bool = False
    created_at: str = field(default_factory=timestamp)
    exit_code: int | None = None
    _child: Child | None = None

    def __post_init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0  # the position of the buffer's first byte
        self._readers: dict[object, int] = {}  # the position of each client
        self._changed = asyncio.Event()
        self._paused = False
        self._starting = asyncio.Lock()

    async def start(self, spawn: Spawn) -> None:
        """Start the shell, unless it has started before. Raises `ApiError` 400 if it cannot start."""
        async with self._starting:
            if self._child is not None:
                return
            try:
                self._child = await spawn(
                    ["/bin/bash", "-i"], cwd=self.cwd, env=self.env, terminal=(self.rows, self.cols)
                )
            except OSError as error:
                raise failures.bad_request(f"failed to start the terminal: {error.strerror}") from None
            master = self._child.terminal
            assert master is not None
            self._master = master
            self._input = PipeWriter(os.dup(master))
            self._output = PipeReader(master, self._keep)
            self._ending = asyncio.ensure_future(self._end(self._child))

    async def _end(self, child: Child) -> None:
        code = await child.exit
        self._output.drain()
        self._output.close()
        self._input.close()
        self.exit_code = 128 - code if code < 0 else code
        self._wake()

    def _keep(self, data: bytes) -> None:
        self._buffer += data
        self._trim()
        self._wake()

    def _trim(self) -> None:
        """Drop the output that all clients have, except for the tail. Pause or resume the terminal."""
        slowest = min(self._readers.values(), default=self._start + len(self._buffer))
        excess = min(len(self._buffer) - limits.TERMINAL_REPLAY_BYTES, slowest - self._start)
        if excess > 0:
            del self._buffer[:excess]
            self._start += excess
        full = len(self._buffer) > 2 * limits.TERMINAL_REPLAY_BYTES
        if full != self._paused and self._child is not None:
            self._paused = full
            if full:
                self._output.pause()
            else:
                self._output.resume()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def output(self) -> AsyncIterator[bytes]:
        """Yield the tail of the output and everything after it, until the terminal has ended."""
        client = object()
        self._readers[client] = self._start
        try:
            while True:
                offset = self._readers[client] - self._start
                piece = bytes(self._buffer[offset : offset + limits.FRAME_BYTES])
                if piece:
                    yield piece
                    self._readers[client] += len(piece)
                    self._trim()
                elif self.exit_code is not None:
                    return
                else:
                    await self._changed.wait()
        finally:
            del self._readers[client]
            self._trim()

    async def type(self, data: bytes) -> None:
        """Write to the terminal, no faster than its programs read."""
        if self._child is not None and self.exit_code is None:
            await self._input.write(data)

    def resize(self, rows: int, cols: int) -> None:
        """Set the size. Raises `ApiError` 410 if the shell has ended."""
        if self.exit_code is not None:
            raise failures.gone("terminal has ended")
        self.rows, self.cols = rows, cols
        if self._child is not None:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    async def kill(self) -> None:
        """Kill the shell's process tree."""
        if self._child is None:
            self.exit_code = 128 + signal.SIGKILL
            self._wake()
            return
        await self._child.kill()
        await self._ending


class Terminals:
    """The terminals of one sandbox. Ended ones stay for a while, so that clients see how they ended."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._terminals: dict[str, Terminal] = {}

    def all(self) -> list[Terminal]:
        """Return the terminals, the oldest first."""
        return list(self._terminals.values())

    def get(self, terminal_id: str) -> Terminal:
        """Return the terminal. Raises `ApiError` 404."""
        try:
            return self._terminals[terminal_id]
        except KeyError:
            raise failures.not_found("PTY session not found") from None

    async def create(self, terminal: Terminal) -> Terminal:
        """Add and start `terminal`; a lazy one is only added.

        Raises `ApiError` if the id is taken or at the limit.
        """
        existing = self._terminals.get(terminal.id)
        if existing is not None and existing.exit_code is None:
            raise failures.conflict(f"PTY session with ID '{terminal.id}' already exists")
        if sum(other.exit_code is None for other in self.all()) >= limits.TERMINALS:
            raise failures.too_many("terminals in this sandbox", limits.TERMINALS)
        ended = [other.id for other in self.all() if other.exit_code is not None]
        for oldest in ended[: max(0, len(self._terminals) - 2 * limits.TERMINALS)]:
            del self._terminals[oldest]
        self._terminals[terminal.id] = terminal
        if not terminal.lazy:
            try:
                await terminal.start(self._spawn)
            except BaseException:
                del self._terminals[terminal.id]
                raise
        return terminal

    async def delete(self, terminal_id: str) -> None:
        """Kill the terminal and forget it. Raises `ApiError` 404."""
        terminal = self.get(terminal_id)
        del self._terminals[terminal_id]
        await terminal.kill()

    async def close(self) -> None:
        """Delete all terminals."""
        for terminal in self.all():
            await self.delete(terminal.id)
