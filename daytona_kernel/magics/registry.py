"""The kernel's magics: each declared once, as an async function with a docstring and a signature.

A declaration gives the parsing, `--help`, and the errors for wrong arguments. A magic is called with
a `Call`, which stands for the cell that asked: what the magic prints, shows and sets appears there.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import DaytonaError, MagicUsageError
from ..wire.messages import Message
from .arguments import Signature, parse_arguments, take_word

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
    cwd: the current directory of the interpreter; None when the kernel runs the magic without one.
    """

    request: Message
    line: str
    body: str | None
    cwd: str | None

    async def sandbox(self) -> AsyncSandbox:
        """The sandbox, started."""
        ...

    async def print(self, text: str, stream: str = "stdout") -> None:
        """Print in the cell."""

    async def set(self, name: str, value: Any) -> None:
        """Set a variable in the user's namespace, to something that JSON can hold."""

    def show(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> Display:
        """Show a MIME bundle of the kernel's own, whose place can be updated."""
        ...

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Let a task go on after the call; it is cancelled when the kernel ends."""


Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Command:
    """What is run: a magic without subcommands, or one of its subcommands."""

    signature: Signature
    handler: Handler

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[0]


@dataclass(frozen=True)
class Magic:
    """A declared magic. commands: by subcommand; under "" when it has none.

    cell: what a cell magic of this name runs, when the line magic has subcommands.
    """

    name: str
    help: str
    commands: dict[str, Command]
    cell: list[Command] = field(default_factory=list)

    async def run(self, call: Call) -> Any:
        """Run it, and return what its caller assigns. Raises DaytonaError."""
        if self._help_wanted(call.line):
            await call.print(self.usage + "\n")
            return None
        command, text = self._command(call)
        try:
            values = parse_arguments(text, command.signature)
        except MagicUsageError as error:
            raise MagicUsageError(f"{error} See %{self.name} --help.") from None
        return await command.handler(call, **values)

    @property
    def usage(self) -> str:
        """What `--help` prints."""
        lines = [self.help, ""]
        shown = [(f"%{self.name} {name}".strip(), name, each) for name, each in self.commands.items()]
        shown += [(f"%%{self.name}", self.name, each) for each in self.cell]
        for begin, name, command in shown:
            words = [begin, command.signature.usage]
            lines.append("  " + " ".join(word for word in words if word))
            if name:
                lines.append(f"      {command.summary}")
            lines += [
                f"      {text:<18} {help}"
                for text, help in [
                    *((p.name.upper(), p.help) for p in command.signature.positionals),
                    *((f"--{o.name} {o.value or ''}", o.help) for o in command.signature.options),
                ]
            ]
        return "\n".join(lines)

    def _command(self, call: Call) -> tuple[Command, str]:
        if call.body is not None and self.cell:
            return self.cell[0], call.line
        if "" in self.commands:
            return self.commands[""], call.line
        name, text = take_word(call.line)
        known = ", ".join(self.commands)
        if name is None:
            raise MagicUsageError(f"%{self.name} needs one of: {known}. See %{self.name} --help.")
        if name not in self.commands:
            raise MagicUsageError(f"%{self.name} has no {name!r}; it has: {known}.")
        return self.commands[name], text

    def _help_wanted(self, line: str) -> bool:
        word, _ = take_word(line)
        return word in ("--help", "-h")


class Registry:
    """The magics by name."""

    def __init__(self) -> None:
        self._magics: dict[str, Magic] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._magics

    @property
    def names(self) -> list[str]:
        """The names, as the interpreter registers them."""
        return list(self._magics)

    def magic(self, name: str, signature: Signature) -> Callable[[Handler], Handler]:
        """Declare a magic without subcommands."""

        def declare(handler: Handler) -> Handler:
            help = inspect.getdoc(handler) or ""
            self._magics[name] = Magic(name, help, {"": Command(signature, handler)})
            return handler

        return declare

    def group(self, name: str, help: str) -> Callable[[str, Signature], Callable[[Handler], Handler]]:
        """Declare a magic with subcommands; each is declared with what this returns.

        The subcommand `%%` is what the cell magic runs.
        """
        magic = self._magics[name] = Magic(name, help, {})

        def subcommand(command: str, signature: Signature) -> Callable[[Handler], Handler]:
            def declare(handler: Handler) -> Handler:
                if command == "%%":
                    magic.cell.append(Command(signature, handler))
                else:
                    magic.commands[command] = Command(signature, handler)
                return handler

            return declare

        return subcommand

    async def run(self, name: str, call: Call) -> Any:
        """Run a magic by name. Raises DaytonaError."""
        if name not in self._magics:
            raise DaytonaError(f"The kernel has no magic {name!r}.")
        return await self._magics[name].run(call)
