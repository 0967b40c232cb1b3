"""One magic call: what a magic can do in the cell that called it. See magics.magic_call.MagicCall."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import DaytonaError
from ...wire.magic_messages import Assign, Display, Print, SetEnvironment, Step
from ...wire.values import EncodedValue, encode_value

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping

    from ...client.sandbox import AsyncSandbox
    from ...magics.magic import Command
    from ...wire.messages import Message
    from .kernel_sandbox import KernelSandbox
    from .magic_calls import MagicCalls


class Cell(Protocol):
    """The cell that called a magic, wherever it is shown."""

    async def take(self, step: Step) -> None:
        """Take a step: print, display, or assign."""

    async def ask(self, name: str) -> EncodedValue:
        """Return a variable of the user. Raises DaytonaError."""
        ...


@dataclass
class MagicCall:
    """See magics.magic_call.MagicCall.

    cell: the cell that called. calls: the table that this call is in.
    """

    request: Message
    cell: Cell
    calls: MagicCalls = field(repr=False)
    line: str = ""
    body: str | None = None
    assigned: bool = False
    cwd: str | None = None
    environ: dict[str, str] = field(default_factory=dict, repr=False)
    unset: list[str] = field(default_factory=list)
    python: str | None = None
    is_seen: bool = False

    @property
    def kernel_sandbox(self) -> KernelSandbox:
        """See MagicCall."""
        return self.calls.kernel_sandbox

    async def sandbox(self) -> AsyncSandbox:
        """See MagicCall."""
        return await self.calls.kernel_sandbox.sandbox()

    async def require_permission(self, command: Command, values: dict[str, Any]) -> None:
        """See MagicCall."""
        await self.calls.permissions.require(self, command, values)

    async def move(self, work: Callable[[], Awaitable[str]], *, start: bool) -> None:
        """See MagicCall."""
        await self.calls.move(self.request, work, start)

    @property
    def can_ask(self) -> bool:
        """See MagicCall."""
        return self.request.content.get("allow_stdin") is True

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        """See MagicCall."""
        return await self.calls.ask(self.request.msg_id, prompt, password)

    async def pause(self, work: Callable[[], Awaitable[str]]) -> None:
        """See MagicCall."""
        await self.calls.pause(self.request, work)

    async def print(self, text: str, stream: str = "stdout") -> None:
        """See MagicCall."""
        await self.cell.take(Print("stderr" if stream == "stderr" else "stdout", text))

    async def display(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """See MagicCall."""
        await self.cell.take(Display(data, metadata or {}))

    async def set_environment(self, variables: Mapping[str, str]) -> None:
        """See MagicCall."""
        await self.cell.take(SetEnvironment(dict(variables)))

    async def set(self, name: str, value: Any) -> None:
        """See MagicCall."""
        await self.cell.take(Assign(name, encode_value(value)))

    async def put(self, name: str, encoded: EncodedValue) -> None:
        """See MagicCall."""
        self._require_interpreter()
        await self.cell.take(Assign(name, encoded))

    async def get(self, name: str) -> EncodedValue:
        """See MagicCall."""
        self._require_interpreter()
        return await self.cell.ask(name)

    def show(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> ShownDisplay:
        """See MagicCall."""
        return Shower(self.calls, self.request).show(data, metadata)

    def keep(self, task: asyncio.Task[Any]) -> None:
        """See MagicCall."""
        self.calls.keep(task)

    def _require_interpreter(self) -> None:
        if self.python is None:
            raise DaytonaError("There is no interpreter in the sandbox now, so it has no variables.")


class Shower:
    """Shows outputs under the request of a cell that has not reached the interpreter."""

    def __init__(self, calls: MagicCalls, request: Message) -> None:
        self._calls = calls
        self._request = request
        self.has_shown = False

    def show(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> ShownDisplay:
        """See magics.magic_call.Shower."""
        self.has_shown = True
        shown = ShownDisplay(self._calls, self._request)
        shown.publish("display_data", self._request, data, metadata)
        return shown


class ShownDisplay:
    """An output in the notebook that can change; see magics.magic_call.Display."""

    def __init__(self, calls: MagicCalls, request: Message) -> None:
        self._calls = calls
        self._request = request
        self._display_id = uuid.uuid4().hex

    def update(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """See Display."""
        # nbclient ignores an update under a cell that has ended, so prefer a cell that runs, or the next one.
        running = self._calls.running()
        self.publish("update_display_data", running or self._request, data, metadata)
        if running is None:
            self._calls.missed[self._display_id] = lambda request: self.publish(
                "update_display_data", request, data, metadata
            )
        else:
            self._calls.missed.pop(self._display_id, None)

    def publish(
        self, msg_type: str, request: Message, data: dict[str, Any], metadata: dict[str, Any] | None
    ) -> None:
        """Send the bundle under a request."""
        content = {"data": data, "metadata": metadata or {}, "transient": {"display_id": self._display_id}}
        self._calls.outbox.say(request, msg_type, content)
