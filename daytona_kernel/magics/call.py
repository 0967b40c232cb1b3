"""What a magic is called with: the cell that asked, where what it prints, shows and sets appears."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from ..wire.messages import Message

if TYPE_CHECKING:
    from ..client.sandbox import AsyncSandbox


class Display(Protocol):
    """A place in the notebook for what changes: made by `Call.show`."""

    def update(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Put a new MIME bundle in its place."""


class Call(Protocol):
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

    async def sandbox(self) -> AsyncSandbox:
        """The sandbox, started."""
        ...

    async def print(self, text: str, stream: str = "stdout") -> None:
        """Print in the cell."""

    async def display(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Display a MIME bundle in the cell, as code there would."""

    async def set(self, name: str, value: Any) -> None:
        """Set a variable in the user's namespace, to something that JSON can hold."""

    def show(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> Display:
        """Show a MIME bundle of the kernel's own, whose place can be updated."""
        ...

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Let a task go on after the call; it is cancelled when the kernel ends."""
