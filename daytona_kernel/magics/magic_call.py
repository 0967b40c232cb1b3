"""The interface between a magic and the cell that called it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..errors import MagicUsageError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping

    from ..client.daytona import AsyncDaytona
    from ..client.sandbox import AsyncSandbox
    from ..settings.resolution import Found
    from ..wire.messages import Message
    from ..wire.values import EncodedValue
    from .kept_secrets import KeptSecrets
    from .magic import Command
    from .project.mirror import Mirror


class Display(Protocol):
    """An output in the notebook that can change. `MagicCall.show` returns it."""

    def update(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Replace the output by a new MIME bundle."""


class Shower(Protocol):
    """Shows outputs in a cell."""

    def show(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> Display:
        """Show a MIME bundle that can be updated."""
        ...


class Place(Protocol):
    """The server that has the sandbox. `str` of it is for a person."""

    @property
    def note(self) -> str:
        """A sentence about the isolation of its sandboxes; "" for none."""
        ...

    @property
    def bounds(self) -> str:
        """Sentences about how much of this machine a sandbox can use; "" at Daytona."""
        ...


class KernelSandbox(Protocol):
    """The kernel's sandbox, and the operations that change it; see kernel.host.kernel_sandbox."""

    @property
    def daytona(self) -> AsyncDaytona:
        """The client."""
        ...

    @property
    def owned(self) -> bool:
        """Whether this kernel deletes the sandbox when it ends."""
        ...

    @property
    def place(self) -> Place:
        """The server that has the sandbox."""
        ...

    @property
    def at_shutdown(self) -> str:
        """What happens to an own sandbox when the kernel ends: "delete", "keep", "stop" or "pause"."""
        ...

    @property
    def keeps_interpreter(self) -> bool:
        """Whether the interpreter lives on when the kernel ends, for the notebook's next kernel."""
        ...

    @property
    def settings(self) -> Mapping[str, Found]:
        """The settings of the sandbox where cells run, by name."""
        ...

    @property
    def secrets(self) -> KeptSecrets:
        """The person's secrets for the sandbox."""

    def require_mirror(self) -> Mirror:
        """Return the project with its copy in the sandbox. Raises MagicUsageError if there is no copy."""
        ...

    async def create(self, options: Mapping[str, Any]) -> AsyncSandbox:
        """Create a sandbox that is labeled as this kernel's. options: its settings by name."""
        ...

    async def move(self, sandbox: AsyncSandbox, *, owned: bool) -> str:
        """Use this sandbox from now on; return a sentence about the old one."""
        ...

    async def stop(self) -> str:
        """Stop the sandbox; return a sentence about its contents."""
        ...

    async def pause(self) -> str:
        """Freeze the sandbox's processes; return a sentence about it."""
        ...

    async def delete(self) -> str:
        """Delete the sandbox; return a sentence about the next one."""
        ...

    async def keep(self) -> AsyncSandbox:
        """Leave the sandbox alone when the kernel ends, and return it."""
        ...


class MagicCall(Protocol):
    """One magic call.

    request: the cell's request. All outputs of the magic call belong to it.
    line: the text after the magic's name. body: the rest of a cell magic's cell; None in a line magic.
    assigned: whether the cell assigns the result, as in `x = %sh ls`.
    cwd: the current directory of the interpreter; None if there is no interpreter, or if the directory has
        been deleted. See `current_directory`.
    environ, unset: the variables that cells have set and removed in the interpreter's environment.
    python: the path of the interpreter's program; None if there is no interpreter.
    is_seen: whether the person has written or read every word of the line that decides about files and
        sandboxes. If not, the person has allowed the folders or the command.
    """

    request: Message
    line: str
    body: str | None
    assigned: bool
    cwd: str | None
    environ: dict[str, str]
    unset: list[str]
    python: str | None
    is_seen: bool

    @property
    def kernel_sandbox(self) -> KernelSandbox:
        """The kernel's sandbox, started or not."""
        ...

    async def require_permission(self, command: Command, values: dict[str, Any]) -> None:
        """Return if the person wants this command with these arguments, and set `is_seen`.

        A call of a cell magic gets its body from the cell's own text.

        Raises PermissionRefusedError.
        """

    async def move(self, work: Callable[[], Awaitable[str]], *, start: bool) -> None:
        """End the interpreter, do the work, and end the cell with the sentence that the work returns.

        start: whether the next interpreter starts at once. Otherwise the next cell starts it.
        """

    async def pause(self, work: Callable[[], Awaitable[str]]) -> None:
        """Do the work when the cell has ended in the interpreter, which lives on.

        The cell then ends with the sentence that the work returns, or with its DaytonaError.
        """

    async def sandbox(self) -> AsyncSandbox:
        """Return the kernel's sandbox, and start it first if necessary."""
        ...

    @property
    def can_ask(self) -> bool:
        """Whether the cell's front end can be asked. This is known once the call has its permission."""
        ...

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        """Ask the person; return None if the question was withdrawn.

        password: whether the front end hides the answer.
        """
        ...

    async def print(self, text: str, stream: str = "stdout") -> None:
        """Print in the cell."""

    async def display(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Display a MIME bundle in the cell, as the cell's own code would."""

    async def set_environment(self, variables: Mapping[str, str]) -> None:
        """Let the interpreter have these environment variables of the kernel, and no others of it."""

    async def set(self, name: str, value: Any) -> None:
        """Set a variable in the user's namespace to a JSON value."""

    async def put(self, name: str, encoded: EncodedValue) -> None:
        """Set a variable in the user's namespace to a value that `wire.values` has encoded."""

    async def get(self, name: str) -> EncodedValue:
        """Return a variable of the user, encoded by `wire.values`. Raises DaytonaError."""
        ...

    def show(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> Display:
        """Show a MIME bundle that can be updated. It bypasses the interpreter and its `%%capture`."""
        ...

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Let a task run on after the magic call. It is canceled when the kernel ends."""


def current_directory(call: MagicCall) -> str | None:
    """Return the directory where relative paths of a call start; None for the sandbox's default.

    Raises MagicUsageError if the interpreter's directory has been deleted. A command must not run in
    another one instead.
    """
    if call.python is not None and call.cwd is None:
        raise MagicUsageError(
            "The notebook's current directory has been deleted, so nothing was done. "
            "Change to another one with %cd and run the cell again."
        )
    return call.cwd
