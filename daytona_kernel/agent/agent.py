"""The agent: the interpreter on one side, the link to the kernel on the other.

What the interpreter says goes into the link at once and to the kernel as fast as the connection
takes it; what the kernel says goes to the interpreter's channels. An interpreter that ends is
reported and replaced by a fresh one. Messages on the channel `agent` are between the two of us:

    to the kernel    ready {generation, pid, kernel_info}    ended {generation, status}
                     failed {reason}                         magic_closed {id}
                     interrupted {}                          unstarted {msg_ids}
                     usage {msg_id, reply}
    to the agent     interrupt {}                            magic_event {id, event}

A magic is closed when it was interrupted, or its interpreter is gone; the kernel ends what the magic
began, and says so with its last event.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from ..wire.link import Link
from ..wire.messages import Message, encode_json
from .interpreter import InterpreterChannels, InterpreterProcess
from .journal import SpillingJournal
from .usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

# An interpreter that ends sooner than this after its start, so many times in a row, is given up.
_SHORT_LIFE_SECONDS = 5.0
_SHORT_LIVES = 3


class Agent:
    """See the module. `first` is the interpreter that was started before anything was imported."""

    def __init__(self, start_interpreter: Callable[[], InterpreterProcess], first: InterpreterProcess):
        self._start_interpreter = start_interpreter
        self._process = first
        self._channels: InterpreterChannels | None = None
        self._waiting: deque[Message] = deque()
        self._ready = False
        self._generation = 0
        self._journal = SpillingJournal()
        self._paused = False
        self._usage = Usage()
        self._magic_calls: dict[str, _MagicCall] = {}
        self.link = Link(self._journal)
        self.on_outgoing: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Keep an interpreter running until cancelled, or until it will not start."""
        short_lives = 0
        while short_lives < _SHORT_LIVES:
            started = time.monotonic()
            self._generation += 1
            ended = await self._attend()
            short_lives = short_lives + 1 if time.monotonic() - started < _SHORT_LIFE_SECONDS else 0
            self._tell("ended", generation=self._generation, status=ended)
            if short_lives < _SHORT_LIVES:
                self._process = self._start_interpreter()
        self._tell("failed", reason=f"The interpreter ended {_SHORT_LIVES} times right after its start.")

    async def _attend(self) -> int:
        """Serve one interpreter from start to end; return its exit status."""
        process = self._process
        self._channels = channels = InterpreterChannels(process, self._from_interpreter)
        ended = asyncio.ensure_future(process.ended())
        ready = asyncio.ensure_future(channels.ready())
        try:
            await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                self._tell("ready", generation=self._generation, pid=process.pid, kernel_info=ready.result())
                self._ready = True
                while self._waiting:
                    channels.send(self._waiting.popleft())
            return await ended
        finally:
            # Requests that wait now are for the next interpreter; those that this one had are lost.
            self._ready = False
            self._channels = None
            ended.cancel()
            ready.cancel()
            channels.close()
            process.kill()

    def close(self) -> None:
        """End the interpreter, also when `run` never came so far, and give the journal's file back."""
        self._process.kill()
        self._journal.close()

    def from_kernel(self, message: Message) -> None:
        """Take a message that the kernel sent."""
        if message.msg_type == "usage_request":
            self._tell("usage", msg_id=message.msg_id, reply=self._usage.report(self._process.pid))
        elif message.channel != "agent":
            if self._ready and self._channels is not None:
                self._channels.send(message)
            else:
                self._waiting.append(message)
        elif message.msg_type == "interrupt":
            self._interrupt()
        elif message.msg_type == "magic_event":
            content = message.content
            call = self._magic_calls.get(content["id"])
            if call is not None:
                call.take(content["event"])

    def _interrupt(self) -> None:
        if self._ready:
            self._process.interrupt()
            self._tell("interrupted")
            return
        # A signal would end an interpreter that is only starting. The cells that wait for it are given up.
        cells = [each for each in self._waiting if each.msg_type == "execute_request"]
        self._waiting = deque(each for each in self._waiting if each not in cells)
        self._tell("unstarted", msg_ids=[each.msg_id for each in cells])

    def acknowledged(self) -> None:
        """The journal has become smaller."""
        if self._paused and not self._journal.full:
            self._pause(False)

    async def serve_magics(self, path: str) -> asyncio.Server:
        """Listen for the magics of the interpreter; see agent.magics."""
        return await asyncio.start_unix_server(self._serve_magic, path)

    async def _serve_magic(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call_id = (await reader.readline()).decode().strip()
        self._magic_calls[call_id] = call = _MagicCall(writer)
        writer.write(b"\n")
        try:
            await reader.read()  # until the magic has its answer, or was interrupted
            if not call.ended.is_set():
                self._tell("magic_closed", id=call_id)
                await call.ended.wait()
        finally:
            del self._magic_calls[call_id]
            writer.close()

    def _from_interpreter(self, message: Message) -> None:
        self.link.send(message)
        if self._journal.full and not self._paused:
            self._pause(True)
        self.on_outgoing()

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        if self._channels is not None:
            self._channels.pause(paused)

    def _tell(self, msg_type: str, **content: Any) -> None:
        self.link.send(Message.make("agent", {"msg_type": msg_type}, content))
        self.on_outgoing()


class _MagicCall:
    """A magic that waits for its answer; `ended` when it has been given the last event."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.ended = asyncio.Event()

    def take(self, event: dict[str, Any]) -> None:
        self._writer.write(encode_json(event) + b"\n")
        if "result" in event or "error" in event:
            self.ended.set()


def parse_text(text: str | bytes) -> dict[str, Any]:
    """Parse a text message of the connection. Raises ValueError when it is not a JSON object."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value
