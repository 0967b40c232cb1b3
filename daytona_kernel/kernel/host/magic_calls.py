"""The calls of magics that run in this process, each for a cell.

A call comes from the interpreter, where the cell runs and waits; its answers go there. Or, while
there is no interpreter, from a cell that is nothing but the magic; then the kernel shows them.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import (
    CommandFailedError,
    DaytonaError,
    InterpreterStartError,
    LocalCodeError,
    MagicUsageError,
)
from ...wire.messages import Message
from ..magic_cell import MagicCell, parse_magic_cell
from .comms import current_request

if TYPE_CHECKING:
    from ...client.sandbox import AsyncSandbox
    from ...magics.registry import Registry
    from ..out.outbox import Outbox
    from .kernel_sandbox import KernelSandbox

_FRESH_RUNTIME = "So this cell ran in a runtime of its own, which has ended: nothing that it set is kept."

_INTERRUPTED = {"error": {"ename": "KeyboardInterrupt", "evalue": ""}}

# What is still being ended then, the sandbox's end will end.
_LAST_WORD_SECONDS = 0.7

Answer = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class MagicCall:
    """See magics.call.MagicCall. answer: takes the events that agent.magics describes.

    asked: where the interpreter's answer to an event of ours will be. work: what the magic does.
    """

    request: Message
    answer: Answer
    calls: MagicCalls = field(repr=False)
    line: str = ""
    body: str | None = None
    assigned: bool = False
    cwd: str | None = None
    environ: dict[str, str] = field(default_factory=dict, repr=False)
    unset: list[str] = field(default_factory=list)
    python: str | None = None
    asked: asyncio.Future[dict[str, Any]] | None = None
    work: asyncio.Task[Any] | None = None

    @property
    def kernel_sandbox(self) -> KernelSandbox:
        """See MagicCall."""
        return self.calls.kernel_sandbox

    async def sandbox(self) -> AsyncSandbox:
        """See MagicCall."""
        return await self.calls.kernel_sandbox.sandbox()

    def require_own_cell(self) -> None:
        """See MagicCall."""
        running = self.calls.running()
        code = str(running.content.get("code", "")) if running is not None else ""
        if parse_magic_cell(code, self.calls.registry) is None:
            raise MagicUsageError("This ends the interpreter, so it must stand in a cell of its own.")

    async def move(self, work: Callable[[], Awaitable[str]], *, start: bool) -> None:
        """See MagicCall."""
        self.require_own_cell()
        await self.calls.move(self.request, work, start)

    async def print(self, text: str, stream: str = "stdout") -> None:
        """See MagicCall."""
        await self.answer({"stream": stream, "text": text})

    async def display(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """See MagicCall."""
        await self.answer({"display": data, "metadata": metadata or {}})

    async def set(self, name: str, value: Any) -> None:
        """See MagicCall."""
        await self.answer({"set": {name: value}})

    async def put(self, name: str, encoded: dict[str, Any]) -> None:
        """See MagicCall."""
        self._require_interpreter()
        await self.answer({"put": {name: encoded}})

    async def get(self, name: str) -> dict[str, Any]:
        """See MagicCall."""
        self._require_interpreter()
        self.asked = asyncio.get_running_loop().create_future()
        await self.answer({"get": name})
        content = await self.asked
        if "value" not in content:
            raise DaytonaError(f"{name!r} cannot be copied: {content['refused']}.")
        encoded: dict[str, Any] = content["value"]
        return encoded

    def cancel(self) -> None:
        """End what the call began, and then the call."""
        if self.work is not None:
            self.work.cancel()

    def take(self, answer: dict[str, Any]) -> None:
        """Take what the interpreter answers to the event `get`."""
        if self.asked is not None and not self.asked.done():
            self.asked.set_result(answer)

    def _require_interpreter(self) -> None:
        if self.python is None:
            raise DaytonaError("There is no interpreter in the sandbox at the moment, and so no variables.")

    def show(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> Shown:
        """See MagicCall."""
        shown = Shown(self.calls, self.request)
        shown.publish("display_data", self.request, data, metadata)
        return shown

    def keep(self, task: asyncio.Task[Any]) -> None:
        """See MagicCall."""
        self.calls.keep(task)


class Shown:
    """A display in the notebook; see magics.call.Display."""

    def __init__(self, calls: MagicCalls, request: Message) -> None:
        self._calls = calls
        self._request = request
        self._display_id = uuid.uuid4().hex

    def update(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """See Display. An update under a cell that has ended is lost to nbclient: use one that runs."""
        request = self._calls.running() or self._request
        self.publish("update_display_data", request, data, metadata)

    def publish(
        self, msg_type: str, request: Message, data: dict[str, Any], metadata: dict[str, Any] | None
    ) -> None:
        """Send the bundle under a request."""
        content = {"data": data, "metadata": metadata or {}, "transient": {"display_id": self._display_id}}
        self._calls.outbox.say(request, msg_type, content)


class MagicCalls:
    """The running calls. They belong to the kernel's main loop.

    running: the request of the cell that runs now.
    move: replaces the sandbox for a cell, by awaiting its second argument; its third says whether the next
        interpreter is started at once.
    """

    def __init__(
        self,
        registry: Registry,
        outbox: Outbox,
        kernel_sandbox: KernelSandbox,
        running: Callable[[], Message | None],
        move: Callable[[Message, Callable[[], Awaitable[str]], bool], Awaitable[None]],
    ) -> None:
        self.registry = registry
        self.outbox = outbox
        self.kernel_sandbox = kernel_sandbox
        self.running = running
        self.move = move
        self._calls: dict[str, MagicCall] = {}
        self._reports: set[asyncio.Task[None]] = set()
        self._kept: set[asyncio.Task[Any]] = set()
        self._closed: set[str] = set()

    def start(self, message: Message, answer: Callable[[str, dict[str, Any]], Awaitable[None]]) -> None:
        """Run a magic that the interpreter asks for, or complete one.

        answer: takes the call's id and an event.
        """
        content = message.content
        call_id = content["id"]
        if call_id in self._closed:
            self._closed.remove(call_id)
            return
        if "answer" in content:
            if call_id in self._calls:
                self._calls[call_id].take(content["answer"])
            return
        name = content["name"]
        request = Message("shell", [message.parts[1], b"{}", b"{}", b"{}"])
        call = MagicCall(request, partial(answer, call_id), self)
        current_request.set(request)
        if "complete" in content:
            work = self.registry.complete(name, content["complete"], call, of_cell=content["of_cell"])
        else:
            call.line, call.body, call.assigned = content["line"], content["cell"], content["assigned"]
            call.cwd, call.python = content["cwd"], content["python"]
            call.environ, call.unset = content["environ"], content["unset"]
            work = self.registry.run(name, call)
        self._calls[call_id] = call
        call.work = asyncio.create_task(work)
        report = asyncio.create_task(self._report(name, call.work, call))
        self._reports.add(report)
        report.add_done_callback(lambda _: self._forget(call_id, report))

    def _forget(self, call_id: str, report: asyncio.Task[None]) -> None:
        del self._calls[call_id]
        self._reports.discard(report)

    async def run_alone(self, request: Message, magic: MagicCell | None, why: Exception) -> None:
        """Run a cell without an interpreter: a magic, or code in a runtime of its own, which is said.

        Raises DaytonaError.
        """

        async def show(event: dict[str, Any]) -> None:
            if "stream" in event:
                self.outbox.say(request, "stream", {"name": event["stream"], "text": event["text"]})
            elif "display" in event:
                content = {"data": event["display"], "metadata": event["metadata"], "transient": {}}
                self.outbox.say(request, "display_data", content)

        current_request.set(request)
        if magic is not None:
            call = MagicCall(request, show, self, line=magic.line, body=magic.body)
            await self.registry.run(magic.name, call)
            return
        if not isinstance(why, InterpreterStartError):
            raise why
        answer = await (await self.kernel_sandbox.sandbox()).process.code_run(
            str(request.content.get("code", ""))
        )
        await show({"stream": "stdout", "text": answer.result})
        await show({"stream": "stderr", "text": f"{why} {_FRESH_RUNTIME}\n"})
        if answer.exit_code != 0:
            raise CommandFailedError(f"The code ended with exit status {answer.exit_code}.")

    async def cancel(self, call_id: str, answer: Callable[[str, dict[str, Any]], Awaitable[None]]) -> None:
        """The cell was interrupted, or is gone: end what the call began, and then the call."""
        call = self._calls.get(call_id)
        if call is not None:
            call.cancel()
        else:
            # It overtook the call itself, or the kernel that was called has crashed.
            self._closed.add(call_id)
            await answer(call_id, _INTERRUPTED)

    def cancel_all(self) -> None:
        """The interpreter is gone, and its cells with it."""
        for call in self._calls.values():
            call.cancel()

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Hold a task until it ends, or the kernel does."""
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    @property
    def following(self) -> bool:
        """Whether something goes on after its call, as the log of a command in the background does."""
        return bool(self._kept)

    async def close(self) -> None:
        """Cancel everything, and wait until it has said its last word, if that takes not too long."""
        self.cancel_all()
        for task in self._kept:
            task.cancel()
        if ending := self._reports | self._kept:
            await asyncio.wait(ending, timeout=_LAST_WORD_SECONDS)

    async def _report(self, name: str, work: asyncio.Task[Any], call: MagicCall) -> None:
        """Tell the cell how its call ended. The work cannot: it may be cancelled before it begins."""
        end: dict[str, Any] = _INTERRUPTED
        try:
            end = {"result": await work}
        except asyncio.CancelledError:
            pass
        except DaytonaError as error:
            end = {"error": _described(error)}
        except Exception as error:
            # A defect of ours must not leave the cell waiting.
            end = {"error": {"ename": type(error).__name__, "evalue": f"{name}: {error}"}}
            raise
        finally:
            await call.answer(end)


def _described(error: DaytonaError) -> dict[str, Any]:
    if isinstance(error, LocalCodeError):
        return {"ename": error.ename, "evalue": str(error), "traceback": error.traceback}
    return {"ename": type(error).__name__, "evalue": str(error)}
