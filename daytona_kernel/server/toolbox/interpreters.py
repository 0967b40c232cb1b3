"""Interpreter contexts: Python processes that keep their state between the pieces of code they run."""

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
from typing import TYPE_CHECKING, Any

from .. import failures, limits
from ..box.pipes import PipeReader
from ..inside import interpreter_program
from ..timestamps import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..box.supervisor import Child
    from .sandbox import Sandbox

DEFAULT = "default"
_PROGRAM = Path(interpreter_program.__file__).read_text()
_INTERRUPT_GRACE = 2.0  # seconds that interrupted code has before its interpreter is killed
_LINE_BYTES = limits.BODY_BYTES


@dataclass(eq=False)
class Interpreter:
    """One context. Its process starts with the first code, and again with the next if it has died."""

    id: str
    cwd: str
    created_at: str = field(default_factory=timestamp)
    _child: Child | None = None

    def __post_init__(self) -> None:
        self._turn = asyncio.Lock()
        self._on_output: Callable[[str, str], None] = lambda kind, text: None
        self._pipes: list[PipeReader] = []

    async def run(
        self,
        sandbox: Sandbox,
        code: str,
        env: Mapping[str, str],
        seconds: float | None,
        on_output: Callable[[str, str], None],
    ) -> dict[str, str] | None:
        """Run `code` and return what it raised, or `None`; `on_output` gets `stdout` or `stderr` and text.

        Raises `TimeoutError` after `seconds`: the code was interrupted, and its state is kept unless it
        did not heed. Raises `EOFError` when the process died.
        """
        async with self._turn:
            if self._child is None or self._child.exit.done():
                await self._start(sandbox)
            self._on_output = on_output
            self._writer.write(json.dumps({"code": code, "envs": dict(env)}).encode() + b"\n")
            answer = asyncio.ensure_future(self._reader.readline())
            try:
                done, _ = await asyncio.wait([answer], timeout=seconds)
                if not done:
                    await self._interrupt(answer)
                    raise TimeoutError
                line = answer.result()
            except asyncio.CancelledError:
                await self._interrupt(answer)
                raise
            finally:
                for pipe in self._pipes:
                    pipe.drain()
                self._on_output = lambda kind, text: None
            if not line.endswith(b"\n"):
                await self.close()
                raise EOFError("the interpreter has ended; its state is lost")
            error: dict[str, str] | None = json.loads(line)["error"]
            return error

    def pause(self) -> None:
        """Leave the output in the pipes, where the code waits with it."""
        for pipe in self._pipes:
            pipe.pause()

    def resume(self) -> None:
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

    async def _start(self, sandbox: Sandbox) -> None:
        await self.close()
        ours, theirs = socket.socketpair()
        pipes = [os.pipe(), os.pipe()]
        with theirs:
            try:
                self._child = await sandbox.spawn(
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

        def hand_over(data: bytes) -> None:
            text = decode(data)
            if text:
                self._on_output(kind, text)

        return hand_over

    async def close(self) -> None:
        """End the process and everything below it."""
        if self._child is None:
            return
        child, self._child = self._child, None
        await child.kill()
        self._writer.close()
        for pipe in self._pipes:
            pipe.close()

    def describe(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "cwd": self.cwd,
            "language": "python",
            "createdAt": self.created_at,
            "active": self._child is None or not self._child.exit.done(),
        }


class Interpreters:
    """The contexts of one sandbox; `default` is there without being created."""

    def __init__(self) -> None:
        self._interpreters: dict[str, Interpreter] = {}
        self._default: Interpreter | None = None

    def all(self) -> list[Interpreter]:
        """Return those that were created."""
        return list(self._interpreters.values())

    def create(self, cwd: str) -> Interpreter:
        """Add a context. Raises `ApiError` when there are too many."""
        if len(self._interpreters) >= limits.INTERPRETERS:
            raise failures.too_many("interpreter contexts in this sandbox", limits.INTERPRETERS)
        interpreter = Interpreter(str(uuid.uuid4()), cwd)
        self._interpreters[interpreter.id] = interpreter
        return interpreter

    def get(self, context_id: str | None, cwd: str) -> Interpreter:
        """Return a context, `None` for the default one, in `cwd`. Raises `ApiError` 404."""
        if context_id in (None, "", DEFAULT):
            self._default = self._default or Interpreter(DEFAULT, cwd)
            return self._default
        assert context_id is not None
        try:
            return self._interpreters[context_id]
        except KeyError:
            raise failures.not_found("interpreter context not found") from None

    async def delete(self, context_id: str) -> None:
        """End and forget a context. Raises `ApiError` 400 for the default one, 404 for an unknown one."""
        if context_id == DEFAULT:
            raise failures.bad_request("the default context cannot be deleted")
        interpreter = self.get(context_id, "")
        del self._interpreters[context_id]
        await interpreter.close()

    async def close(self) -> None:
        for interpreter in [*self.all(), *([self._default] if self._default else [])]:
            await interpreter.close()
        self._interpreters.clear()
        self._default = None
