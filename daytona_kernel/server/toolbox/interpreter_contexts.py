"""Interpreter contexts: Python processes that keep their state between runs of code."""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import signal
import socket
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .. import failures, limits
from ..box.pipes import PipeReader
from ..inside import interpreter_context
from ..timestamps import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..box.child import Child
    from .running_time import RunningTime
    from .spawn import Spawn

DEFAULT = "default"
_PROGRAM = Path(interpreter_context.__file__).read_text()
_INTERRUPT_GRACE = 2.0  # seconds between the interrupt of a run and the kill of its process
_LINE_BYTES = limits.BODY_BYTES


@dataclass(eq=False)
class InterpreterContext:
    """One context. The first run starts its process; so does the first run after the process has died."""

    id: str
    cwd: str
    running_time: RunningTime
    created_at: str = field(default_factory=timestamp)
    _child: Child | None = None

    def __post_init__(self) -> None:
        self._running = asyncio.Lock()
        self._on_output: Callable[[str, str], None] = _ignore
        self._pipes: list[PipeReader] = []

    @property
    def is_active(self) -> bool:
        """Whether a run finds the state of earlier runs, or is the first."""
        return self._child is None or not self._child.exit.done()

    async def run(
        self,
        spawn: Spawn,
        code: str,
        env: Mapping[str, str],
        seconds: float | None,
        on_output: Callable[[str, str], None],
    ) -> dict[str, str] | None:
        """Run `code`. Return the exception that it raised, or `None`.

        `on_output` gets the name of the stream, `stdout` or `stderr`, and text. `seconds` is the timeout in
        `running_time`; `None` means none. After it the code is interrupted, and `TimeoutError` is raised; the
        state is lost only if the code ignores the interrupt. If the process ends, `EOFError` is raised.
        """
        async with self._running:
            if self._child is None or self._child.exit.done():
                await self._start(spawn)
            self._on_output = on_output
            self._writer.write(json.dumps({"code": code, "envs": dict(env)}).encode() + b"\n")
            answer = asyncio.ensure_future(self._reader.readline())
            try:
                if not await self.running_time.wait(answer, seconds):
                    await self._interrupt(answer)
                    raise TimeoutError
                try:
                    line = answer.result()
                except ValueError:  # longer than any answer
                    line = b""
            except asyncio.CancelledError:
                await self._interrupt(answer)
                raise
            finally:
                for pipe in self._pipes:
                    pipe.drain()
                self._on_output = _ignore
            try:
                return _error_in(line)
            except (ValueError, TypeError, KeyError, RecursionError):
                await self.close()
                raise EOFError(
                    "the interpreter has ended; its state is lost. The next run starts a new interpreter"
                ) from None

    def pause(self) -> None:
        """Stop reading the output: when the pipes are full, the code waits."""
        for pipe in self._pipes:
            pipe.pause()

    def resume(self) -> None:
        """Read the output again."""
        for pipe in self._pipes:
            pipe.resume()

    async def _interrupt(self, answer: asyncio.Future[bytes]) -> None:
        child = self._child
        assert child is not None
        child.signal(signal.SIGINT)
        done, _ = await asyncio.wait([answer], timeout=_INTERRUPT_GRACE)
        if not done:
            await self.close()
            await asyncio.wait([answer])

    async def _start(self, spawn: Spawn) -> None:
        await self.close()
        ours, theirs = socket.socketpair()
        pipes = [os.pipe(), os.pipe()]
        with theirs:
            try:
                self._child = await spawn(
                    ["python3", "-u", "-c", _PROGRAM],
                    cwd=self.cwd,
                    stdio=(theirs.fileno(), pipes[0][1], pipes[1][1]),
                )
            finally:
                for _, write_end in pipes:
                    os.close(write_end)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=ours, limit=_LINE_BYTES)
        self._pipes = [
            PipeReader(read_end, self._decoder(kind))
            for (read_end, _), kind in zip(pipes, ("stdout", "stderr"), strict=True)
        ]

    def _decoder(self, kind: str) -> Callable[[bytes], None]:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode

        def decode_piece(data: bytes) -> None:
            text = decode(data)
            if text:
                self._on_output(kind, text)

        return decode_piece

    async def close(self) -> None:
        """Kill the process tree."""
        if self._child is None:
            return
        child, self._child = self._child, None
        await child.kill()
        self._writer.close()
        for pipe in self._pipes:
            pipe.close()


def _error_in(line: bytes) -> dict[str, str] | None:
    """Return the exception in an answer, which comes from a process of the sandbox.

    Raises `ValueError`, `TypeError`, `KeyError` or `RecursionError` for any other answer.
    """
    error = json.loads(line)["error"]
    if error is None:
        return None
    named = {name: error[name] for name in ("name", "value", "traceback")}
    if not all(isinstance(text, str) for text in named.values()):
        raise TypeError
    return named


def _ignore(_kind: str, _text: str) -> None:
    pass


class InterpreterContexts:
    """The contexts of one sandbox. The context `default` always exists."""

    def __init__(self, running_time: RunningTime) -> None:
        self._running_time = running_time
        self._contexts: dict[str, InterpreterContext] = {}
        self._default: InterpreterContext | None = None

    def all(self) -> list[InterpreterContext]:
        """Return the contexts that clients have created."""
        return list(self._contexts.values())

    def create(self, cwd: str) -> InterpreterContext:
        """Add a context. Raises `ApiError` at the limit."""
        if len(self._contexts) >= limits.INTERPRETER_CONTEXTS:
            raise failures.too_many("interpreter contexts in this sandbox", limits.INTERPRETER_CONTEXTS)
        context = InterpreterContext(str(uuid.uuid4()), cwd, self._running_time)
        self._contexts[context.id] = context
        return context

    def get(self, context_id: str | None, cwd: str) -> InterpreterContext:
        """Return the context; `None` means the default one, which runs in `cwd`. Raises `ApiError` 404."""
        if not context_id or context_id == DEFAULT:
            self._default = self._default or InterpreterContext(DEFAULT, cwd, self._running_time)
            return self._default
        try:
            return self._contexts[context_id]
        except KeyError:
            raise failures.not_found("interpreter context not found") from None

    async def delete(self, context_id: str) -> None:
        """End and forget a context. Raises `ApiError`: 400 for the default one, 404 for an unknown one."""
        if context_id == DEFAULT:
            raise failures.bad_request("the default context cannot be deleted")
        context = self.get(context_id, "")
        del self._contexts[context_id]
        await context.close()

    async def close(self) -> None:
        """End all contexts and forget them."""
        for context in [*self.all(), *([self._default] if self._default else [])]:
            await context.close()
        self._contexts.clear()
        self._default = None
