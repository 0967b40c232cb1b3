"""What a magic is called with: the cell that asked, where what it prints, shows and sets appears."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from ..client.daytona import AsyncDaytona
    from ..client.models import CreateSandboxParams
    from ..client.sandbox import AsyncSandbox
    from ..wire.messages import Message


class Display(Protocol):
    """A place in the notebook for what changes: made by `MagicCall.show`."""

    def update(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Put a new MIME bundle in its place."""


class KernelSandbox(Protocol):
    """Whose sandbox the kernel lives in; see kernel.kernel_sandbox."""

    @property
    def daytona(self) -> AsyncDaytona:
        """The client."""
        ...

    @property
    def owned(self) -> bool:
        """Whether this kernel deletes the sandbox when it ends."""
        ...

    @property
    def place(self) -> str:
        """Where sandboxes are, for a person."""
        ...

    async def create(self, params: CreateSandboxParams) -> AsyncSandbox:
        """Make a sandbox that is labelled as this kernel's."""
        ...

    async def move(self, sandbox: AsyncSandbox, *, owned: bool) -> str:
        """Live in this sandbox from now on; return what became of the old one."""
        ...

    async def stop(self) -> str:
        """Stop the sandbox; return what becomes of its contents."""
        ...

    async def delete(self) -> str:
        """Delete the sandbox; return what comes next."""
        ...

    async def keep(self) -> AsyncSandbox:
        """Leave the sandbox alone when the kernel ends, and return it."""
        ...


class MagicCall(Protocol):
    """One call of a magic.

    request: the cell's request, under which everything is shown.
    line: what follows the magic's name. body: the rest of a cell magic's cell; None in a line magic.
    assigned: whether the result is wanted, as in `x = %sh ls`.
    cwd: the current directory of the interpreter; None when the kernel runs the magic without one.
    environ, unset: the variables that cells have set and removed in the interpreter's environment.
    python: the interpreter's own program; None as `cwd`.
    """

    request: Message
    line: str
    body: str | None
    assigned: bool
    cwd: str | None
    environ: dict[str, str]
    unset: list[str]
    python: str | None

    @property
    def kernel_sandbox(self) -> KernelSandbox:
        """Where the kernel lives."""
        ...

    def require_own_cell(self) -> None:
        """Raise MagicUsageError where the cell has more to run than this magic."""

    async def move(self, work: Callable[[], Awaitable[str]], *, start: bool) -> None:
        """End the interpreter, and the cell when `work` is done, whose sentence it shows.

        start: whether the next interpreter is started at once, and not by the next cell.

        Raises MagicUsageError where the cell has more to run.
        """

    async def sandbox(self) -> AsyncSandbox:
        """The sandbox, started."""
        ...

    async def print(self, text: str, stream: str = "stdout") -> None:
        """Print in the cell."""

    async def display(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Display a MIME bundle in the cell, as code there would."""

    async def set(self, name: str, value: Any) -> None:
        """Set a variable in the user's namespace, to something that JSON can hold."""

    async def put(self, name: str, encoded: dict[str, Any]) -> None:
        """Set a variable in the user's namespace, to what `wire.values` has encoded."""

    async def get(self, name: str) -> dict[str, Any]:
        """Return a variable of the user's, as `wire.values` encodes it. Raises DaytonaError."""
        ...

    def show(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> Display:
        """Show a MIME bundle of the kernel's own, whose place can be updated."""
        ...

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Let a task go on after the call; it is cancelled when the kernel ends."""
