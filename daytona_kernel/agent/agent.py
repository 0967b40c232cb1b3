"""The agent: the interpreter on one side, the link to the kernel on the other.

Messages of the interpreter go into the link at once, and to the kernel as fast as the connection takes
them. Messages of the kernel go to the interpreter's channels; those on the channel `agent` are for
the agent itself (see wire.agent_messages). When the interpreter ends, the agent tells the kernel and
starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import uuid
from collections import deque
from typing import TYPE_CHECKING

from ..wire.agent_messages import (
    CHANNEL,
    Ended,
    Failed,
    FromAgent,
    Interrupt,
    Interrupted,
    Ready,
    Running,
    Shutdown,
    Unstarted,
    UsageReport,
    decode_to_agent,
    encode_agent_message,
)
from ..wire.exhaustive import assert_never
from ..wire.link import Link
from ..wire.magic_messages import MagicEnd, MagicOutput, VariableWanted
from ..wire.messages import Message
from .interpreter import InterpreterChannels, InterpreterProcess
from .journal import SpillingJournal
from .magic_socket import MagicSocket
from .usage import Usage, memory_kills

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# The agent gives up after so many interpreters in a row that ended before they were ready.
_FAILED_STARTS = 3
# Seconds in which an interpreter ends in good order: files, `atexit`, threads. Then it is killed.
_SHUTDOWN_SECONDS = 5.0
_LAST_MESSAGES_SECONDS = 2.0
# A cell begins sooner than this, unless something else runs, such as a widget's callback: seconds.
_BEGIN_SECONDS = 0.5
# Python loses a signal that comes just before its first system call, such as that of `time.sleep`.
_SETTLED_SECONDS = 0.1


class Agent:
    """One interpreter after another, and the link to the kernel.

    start_interpreter: starts an interpreter.
    first: the interpreter that was started before this module was imported.
    options: the words on its command line that the kernel has sent.
    on_outgoing: called when the link has something to send.
    """

    def __init__(
        self,
        start_interpreter: Callable[[], InterpreterProcess],
        first: InterpreterProcess,
        options: Sequence[str] = (),
    ) -> None:
        self._start_interpreter = start_interpreter
        self._options = options
        self._process = first
        self._channels: InterpreterChannels | None = None
        self._waiting: deque[Message] = deque()
        # What says that the interpreter is ready; None while it is not.
        self._ready: Ready | None = None
        # The cells without a reply, by message id, and the open questions of `input()`, by their cell.
        self._cells: dict[str, Message] = {}
        self._questions: dict[str, Message] = {}
        # The cells that the main shell has not started yet. ipykernel ignores an interrupt before that.
        self._unstarted: set[str] = set()
        self._early_interrupt: asyncio.TimerHandle | None = None
        self._was_ready = False
        self._shutdown: asyncio.Task[None] | None = None
        self._acknowledgement = asyncio.Event()
        self._journal = SpillingJournal()
        self._paused = False
        self._usage = Usage()
        self.magic_socket = MagicSocket(self._tell)
        self.link = Link(self._journal)
        self.on_outgoing: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Keep an interpreter running until the kernel ends it, or until several in a row do not start."""
        failed_starts = 0
        while True:
            killed_earlier = memory_kills()
            status = await self._attend()
            self._tell(Ended(status, status == -signal.SIGKILL and memory_kills() > killed_earlier))
            if self._shutdown is not None:
                return
            failed_starts = 0 if self._was_ready else failed_starts + 1
            try:
                if failed_starts == _FAILED_STARTS:
                    raise ChildProcessError(f"it ended {_FAILED_STARTS} times before it was ready")
                self._process = self._start_interpreter()
            except OSError as error:  # for example, a cell has deleted the agent's directory
                hint = f" Its options may be wrong: {' '.join(self._options)}" if self._options else ""
                self._tell(Failed(f"The interpreter does not start: {error}.{hint}"))
                return

    async def wait_for_acknowledgement(self) -> None:
        """Wait until the kernel has every message, or for a few seconds if it is away."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._settled(), _LAST_MESSAGES_SECONDS)

    async def _settled(self) -> None:
        while not self.link.settled:
            self._acknowledgement.clear()
            await self._acknowledgement.wait()

    async def _attend(self) -> int:
        """Serve one interpreter from start to end; return its exit status."""
        process = self._process
        self._was_ready = False
        self._channels = channels = InterpreterChannels(process, self._from_interpreter)
        ended = asyncio.ensure_future(process.ended())
        ready = asyncio.ensure_future(channels.ready())
        try:
            await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                self._ready = Ready(process.pid, ready.result())
                self._tell(self._ready)
                self._was_ready = True
                while self._waiting:
                    self._send(self._waiting.popleft(), channels)
            return await ended
        finally:
            # Waiting requests are for the next interpreter. Requests that this interpreter had are lost.
            self._ready = None
            self._channels = None
            self._cells = {each.msg_id: each for each in self._waiting if each.msg_id in self._cells}
            self._questions.clear()
            self._unstarted.clear()
            self._take_early_interrupt()
            ended.cancel()
            ready.cancel()
            channels.close()
            process.kill()

    def close(self) -> None:
        """End the interpreter, even if `run` never started, and delete the journal's file."""
        self._process.kill()
        self._journal.close()

    def from_kernel(self, message: Message) -> None:
        """Take a message of the kernel. Raises ProtocolError."""
        if message.channel == CHANNEL:
            self._take(message)
            return
        if message.msg_type == "execute_request":
            self._cells[message.msg_id] = message
        elif message.channel == "stdin" and self._questions:
            del self._questions[next(iter(self._questions))]
        if message.msg_type == "usage_request":
            self._tell(UsageReport(message.msg_id, self._usage.report(self._process.pid)))
        elif self._ready is not None and self._channels is not None:
            self._send(message, self._channels)
        else:
            self._waiting.append(message)

    def _send(self, message: Message, channels: InterpreterChannels) -> None:
        if _is_on_main_shell(message) and not message.content.get("silent"):
            self._unstarted.add(message.msg_id)
        channels.send(message)

    def _take(self, message: Message) -> None:
        match decode_to_agent(message):
            case Interrupt():
                self._interrupt()
            case Shutdown():
                self._shutdown = self._shutdown or asyncio.ensure_future(self._end_interpreter())
            case MagicOutput() | VariableWanted() | MagicEnd() as answer:
                self.magic_socket.take(answer)
            case unexpected:
                assert_never(unexpected)

    def _interrupt(self) -> None:
        if self._ready is not None:
            has_started = any(
                _is_on_main_shell(each) and each.msg_id not in self._unstarted
                for each in self._cells.values()
            )
            if has_started or not self._unstarted:
                self._process.interrupt()
            elif self._early_interrupt is None:
                loop = asyncio.get_running_loop()
                self._early_interrupt = loop.call_later(_BEGIN_SECONDS, self._process.interrupt)
            self._tell(Interrupted())
            return
        # A signal would end an interpreter that is still starting, so drop the cells that wait for it.
        cells = [each for each in self._waiting if each.msg_type == "execute_request"]
        self._waiting = deque(each for each in self._waiting if each not in cells)
        for each in cells:
            self._cells.pop(each.msg_id, None)
        self._tell(Unstarted(tuple(each.msg_id for each in cells)))

    def _interrupt_cell(self, msg_id: str) -> None:
        if msg_id in self._cells:
            self._process.interrupt()

    def _take_early_interrupt(self) -> bool:
        """Return whether a cell was interrupted before it began, and forget that."""
        timer, self._early_interrupt = self._early_interrupt, None
        if timer is not None:
            timer.cancel()
        return timer is not None

    async def _end_interpreter(self) -> None:
        """Ask the interpreter to end, as Jupyter asks a kernel, and kill it if it takes too long."""
        process = self._process
        if self._ready is not None and self._channels is not None:
            # A running cell would not let it end, and a magic waits for the kernel.
            self.magic_socket.abandon()
            process.interrupt()
            self._channels.request_shutdown()
            await asyncio.sleep(_SHUTDOWN_SECONDS)  # canceled with the loop, when the interpreter has ended
        process.terminate()

    def take_new_kernel(self) -> None:
        """Serve a kernel that is new to this agent. It may take the place of one that crashed."""
        self.magic_socket.abandon()
        if self._ready is not None:
            self._tell(self._ready)
        self._tell(Running(tuple(each.header for each in self._cells.values())))
        for question in self._questions.values():
            # A client would drop the same message as a replay.
            header = {**question.header, "msg_id": uuid.uuid4().hex}
            self.link.send(Message.make("stdin", header, question.content, question.parts[1]))

    def acknowledged(self) -> None:
        """Look at the journal again, because the kernel has acknowledged messages."""
        self._acknowledgement.set()
        if self._paused and not self._journal.full:
            self._pause(False)

    def _from_interpreter(self, message: Message) -> None:
        if message.channel == "shell":
            self._cells.pop(message.parent_id, None)
            self._questions.pop(message.parent_id, None)
            self._unstarted.discard(message.parent_id)
        elif message.channel == "iopub" and self._unstarted and message.msg_type == "execute_input":
            self._unstarted.discard(message.parent_id)
            if self._take_early_interrupt():
                loop = asyncio.get_running_loop()
                loop.call_later(_SETTLED_SECONDS, self._interrupt_cell, message.parent_id)
        elif message.channel == "stdin":
            self._questions[message.parent_id] = message
        self.link.send(message)
        if self._journal.full and not self._paused:
            self._pause(True)
        self.on_outgoing()

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        if self._channels is not None:
            self._channels.pause(paused)

    def _tell(self, message: FromAgent) -> None:
        self.link.send(encode_agent_message(message))
        self.on_outgoing()


def _is_on_main_shell(message: Message) -> bool:
    """Return whether a message is a cell that an interrupt can be for. Interrupts do not reach subshells."""
    return (
        message.msg_type == "execute_request"
        and message.channel == "shell"
        and message.header.get("subshell_id") is None
    )
