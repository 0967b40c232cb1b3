"""The magic calls that run in this process, each for a cell.

A call comes from the interpreter, where its cell runs and waits, and the answers go there. While there
is no interpreter, a cell that consists of one magic runs too; the kernel then shows its output.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, assert_never

from ...errors import CommandFailedError, DaytonaError, InterpreterStartError
from ...wire.magic_messages import (
    Completed,
    CompletionWanted,
    MagicCalled,
    MagicEnd,
    Outcome,
    Print,
    Raised,
    Returned,
    VariableRefused,
    VariableSent,
    decode_magic_request,
)
from ...wire.messages import Message
from ...wire.schema import ProtocolError
from .cell_channel import CellChannel, SendAnswer
from .comms import current_request
from .kernels_cell import KernelsCell
from .magic_call import MagicCall
from .running_call import INTERRUPTED, RunningCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from ...magics.registry import Registry
    from ..magic_cell import MagicCell
    from ..out.outbox import Outbox
    from .kernel_sandbox import KernelSandbox
    from .permissions import Permissions

_ONE_OFF = "This cell ran in a one-off process; its variables were not kept."

_TOO_MANY = Raised(DaytonaError.__name__, "Too many magics are running. Run the cell again later.", None)

# Seconds for magics to end what they have started. The end of the sandbox ends the rest.
_CLOSING_SECONDS = 0.7

# The limit of calls at one time, and of remembered call ids. Cells have far fewer.
_MOST_CALLS = 200

_log = logging.getLogger(__name__)


class MagicCalls:
    """The running magic calls. They belong to the API thread's event loop.

    permissions: decide about calls that reach further than the sandbox.
    completing: returns a front end's unanswered request for a completion, by its message id.
    running: returns the request of the cell that runs now.
    ask: asks a question in a running cell, given by its message id; the third argument says whether the
        answer is hidden. Returns None if the question was withdrawn.
    pause: pauses the sandbox for a cell, by awaiting the second argument.
    move: replaces the sandbox for a cell, by awaiting the second argument. The third says whether the next
        interpreter is started at once.
    """

    def __init__(
        self,
        registry: Registry,
        outbox: Outbox,
        kernel_sandbox: KernelSandbox,
        permissions: Permissions,
        *,
        running: Callable[[], Message | None],
        completing: Callable[[str], Message | None],
        ask: Callable[[str, str, bool], Awaitable[str | None]],
        move: Callable[[Message, Callable[[], Awaitable[str]], bool], Awaitable[None]],
        pause: Callable[[Message, Callable[[], Awaitable[str]]], Awaitable[None]],
    ) -> None:
        self.registry = registry
        self.outbox = outbox
        self.kernel_sandbox = kernel_sandbox
        self.permissions = permissions
        self.running = running
        self.completing = completing
        self.ask = ask
        self.move = move
        self.pause = pause
        # The latest update of each display that came while no cell ran, to be repeated under the next cell.
        self.missed: dict[str, Callable[[Message], None]] = {}
        self._running: dict[str, RunningCall] = {}
        self._reports: set[asyncio.Task[None]] = set()
        self._kept: set[asyncio.Task[Any]] = set()
        # The calls that ended before they came, the latest last.
        self._closed_early: dict[str, None] = {}

    def take(self, message: Message, send: SendAnswer) -> None:
        """Take a request of the interpreter: run a magic, complete one, or pass a variable to one.

        send: sends an answer to the interpreter. A malformed request is dropped with a warning.
        """
        try:
            request = decode_magic_request(message)
            parent = Message("shell", [message.parts[1], b"{}", b"{}", b"{}"])
            is_typed = isinstance(request, CompletionWanted) and self._is_typed(request, parent.msg_id)
        except ProtocolError as error:
            _log.warning("Dropped a malformed request of a magic: %s", error)
            return
        call_id = request.call_id
        if call_id in self._closed_early:
            del self._closed_early[call_id]
            return
        match request:
            case VariableSent() | VariableRefused():
                if call_id in self._running:
                    self._running[call_id].channel.answered(request)
            case MagicCalled():
                channel = CellChannel(call_id, send)
                call = MagicCall(
                    parent,
                    channel,
                    self,
                    request.line,
                    request.cell,
                    request.assigned,
                    request.cwd,
                    request.environ,
                    list(request.unset),
                    request.python,
                )
                self._start(request, parent, channel, self._run(request.name, call))
            case CompletionWanted():
                channel = CellChannel(call_id, send)
                call = MagicCall(parent, channel, self)
                self._start(request, parent, channel, self._complete(request, call, is_typed=is_typed))
            case unexpected:
                assert_never(unexpected)

    def _start(
        self,
        request: MagicCalled | CompletionWanted,
        parent: Message,
        channel: CellChannel,
        work: Coroutine[Any, Any, Outcome],
    ) -> None:
        """Run the work of a magic call. What it shows appears under its cell's request, `parent`."""
        call_id = request.call_id
        if call_id in self._running:
            work.close()
            _log.warning("Dropped a malformed request of a magic: its call id is taken")
            return
        if len(self._running) >= _MOST_CALLS:
            work.close()
            self.keep(asyncio.create_task(channel.end(_TOO_MANY)))
            return
        current_request.set(parent)
        running = self._running[call_id] = RunningCall(request.name, channel, asyncio.create_task(work))
        report = asyncio.create_task(running.report())
        self._reports.add(report)
        report.add_done_callback(lambda _: self._forget(call_id, report))

    async def _run(self, name: str, call: MagicCall) -> Outcome:
        return Returned(await self.registry.run(name, call))

    async def _complete(self, request: CompletionWanted, call: MagicCall, *, is_typed: bool) -> Outcome:
        found = await self.registry.complete(
            request.name, request.text, call, of_cell=request.of_cell, is_typed=is_typed
        )
        return Completed(tuple(found["words"]), found["paths"])

    def _is_typed(self, request: CompletionWanted, msg_id: str) -> bool:
        """Return whether a front end asks, in the request with this id, to complete this magic's text."""
        asked = self.completing(msg_id)
        if asked is None:
            return False
        code, cursor = asked.content.get("code"), asked.content.get("cursor_pos")
        if not isinstance(code, str) or not isinstance(cursor, int):
            return False
        line = code[:cursor].rpartition("\n")[2]
        marker = "%%" if request.of_cell else "%"
        magic = f"{marker}{request.name}{request.text}"
        return line.endswith(magic) and not line.removesuffix(magic).strip().endswith("%")

    def _forget(self, call_id: str, report: asyncio.Task[None]) -> None:
        del self._running[call_id]
        self._reports.discard(report)

    async def run_alone(self, request: Message, magic: MagicCell | None, why: Exception) -> None:
        """Run a cell without an interpreter: a magic, or code in a one-off process.

        why: the reason for the missing interpreter, which is shown with the code's output.

        Raises DaytonaError.
        """
        cell = KernelsCell(self.outbox, request)
        current_request.set(request)
        if magic is not None:
            call = MagicCall(request, cell, self, line=magic.line, body=magic.body)
            await self.registry.run(magic.name, call)
            return
        if not isinstance(why, InterpreterStartError):
            raise why
        code = str(request.content.get("code", ""))
        answer = await (await self.kernel_sandbox.sandbox()).process.code_run(code)
        await cell.take(Print("stdout", answer.result))
        await cell.take(Print("stderr", f"{why} {_ONE_OFF}\n"))
        if answer.exit_code != 0:
            raise CommandFailedError(f"The code ended with exit status {answer.exit_code}.")

    async def cancel(self, call_id: str, send: SendAnswer) -> None:
        """End a magic call whose cell was interrupted or is gone, after what the call started."""
        running = self._running.get(call_id)
        if running is not None:
            running.work.cancel()
        else:
            # The interrupt came before the call did, or the kernel that ran the call has crashed.
            self._closed_early[call_id] = None
            if len(self._closed_early) > _MOST_CALLS:
                del self._closed_early[next(iter(self._closed_early))]
            await send(MagicEnd(call_id, (), INTERRUPTED))

    def repeat_missed_updates(self, request: Message) -> None:
        """Update displays under a cell that has started, if the update came while no cell ran."""
        missed, self.missed = self.missed, {}
        for repeat in missed.values():
            repeat(request)

    def cancel_all(self) -> None:
        """End every magic call, since the interpreter is gone, and its cells with it."""
        for running in self._running.values():
            running.work.cancel()

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Hold a task until it ends, or the kernel does."""
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    @property
    def following(self) -> bool:
        """Whether a task runs on after its call, as the log of a command in the background does."""
        return bool(self._kept)

    async def close(self) -> None:
        """Cancel everything, and wait a moment until all of it has ended."""
        self.cancel_all()
        for task in self._kept:
            task.cancel()
        if ending := self._reports | self._kept:
            await asyncio.wait(ending, timeout=_CLOSING_SECONDS)
