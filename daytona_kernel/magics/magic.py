"""The definition of a magic, and the decorators that declare one.

A magic is a class with async methods, one for each command. The decorator names the command and its
arguments, and the docstring becomes the help:

    class GreetingMagic:
        "Greetings."

        @magic("greet person", Signature((Positional("name", "whom to greet"),)), Reach.SANDBOX)
        async def greet_person(self, call: MagicCall, name: str) -> None:
            "Greet a person."
            await call.print(f"Hello {name}.")
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import MagicUsageError
from .arguments import Expected, HelpRequested, expected_after, parse_arguments, take_word
from .magic_call import MagicCall
from .reach import Reach

if TYPE_CHECKING:
    from .signature import Signature

# Takes the magic call, and an argument for each parameter of the signature.
Handler = Callable[..., Awaitable[Any]]
# Returns the words of one kind, given the magic call and the line before the cursor.
Words = Callable[[MagicCall, Expected], Awaitable[list[str]]]

_DECLARATION = "daytona_kernel_declaration"
_H = TypeVar("_H", bound=Handler)
_W = TypeVar("_W", bound=Callable[..., Awaitable[list[str]]])


@dataclass(frozen=True)
class CommandDeclaration:
    """The arguments of `magic` or of `cell_magic`, kept on the decorated method."""

    name: str
    subcommand: str
    signature: Signature
    reach: Reach
    is_cell: bool = False
    is_default: bool = False


@dataclass(frozen=True)
class WordsDeclaration:
    """The arguments of `completes`, kept on the decorated method."""

    kind: str
    reach: Reach


def magic(name: str, signature: Signature, reach: Reach, *, default: bool = False) -> Callable[[_H], _H]:
    """Declare a command: `"sh"` is run by `%sh` and `%%sh`, `"session list"` by `%session list`.

    reach: what it touches. Code in the sandbox can call a command with the reach SANDBOX as it likes.
    default: whether the magic runs this subcommand when the line names none.
    """
    first, _, subcommand = name.partition(" ")
    return _attach(CommandDeclaration(first, subcommand, signature, reach, is_default=default))


def cell_magic(name: str, signature: Signature, reach: Reach) -> Callable[[_H], _H]:
    """Declare the command that `%%name` runs. It finds the cell in `call.body`."""
    return _attach(CommandDeclaration(name, "", signature, reach, is_cell=True))


def completes(kind: str, reach: Reach) -> Callable[[_W], _W]:
    """Declare a method that lists the words of a kind, for completion.

    reach: what the list tells about. Unless it is SANDBOX, the list is made only for a text that a front
        end asks to complete.
    """
    return _attach(WordsDeclaration(kind, reach))


def _attach(declaration: CommandDeclaration | WordsDeclaration) -> Callable[[_W], _W]:
    def decorate(method: _W) -> _W:
        setattr(method, _DECLARATION, declaration)
        return method

    return decorate


def declared_methods(magics: object) -> Iterator[tuple[CommandDeclaration | WordsDeclaration, Handler]]:
    """Yield the declarations of an object with their bound methods, in the order of the class."""
    for name, member in vars(type(magics)).items():
        declaration = getattr(member, _DECLARATION, None)
        if declaration is not None:
            yield declaration, getattr(magics, name)


@dataclass(frozen=True)
class Command:
    """A magic without subcommands, one subcommand, or a cell magic.

    begin: the first words of its line, such as `%session list`.
    """

    begin: str
    signature: Signature
    reach: Reach
    handler: Handler

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[0]

    def usage(self, *, summary: bool) -> list[str]:
        """Return the lines of its help."""
        lines = ["  " + " ".join(words for words in (self.begin, self.signature.usage) if words)]
        if summary:
            lines.append(f"      {self.summary}")
        arguments = [(p.usage.strip("[]"), p.help) for p in self.signature.positionals]
        arguments += [(f"--{o.name} {o.value or ''}".rstrip(), o.help) for o in self.signature.options]
        width = max((len(usage) for usage, _ in arguments), default=0)
        return lines + [f"      {usage:<{width}}  {help_text}" for usage, help_text in arguments]


@dataclass
class Magic:
    """A declared magic.

    help: the text above the commands. lines: the commands of `%name`, by subcommand; one without
        subcommands is under "". cell: the command of `%%name`, where that is a different one.
    default: the subcommand of a line that names none; None if a line must name one.
    """

    name: str
    help: str
    lines: dict[str, Command] = field(default_factory=dict)
    cell: Command | None = None
    default: str | None = None

    @property
    def reaches_further(self) -> bool:
        """Whether any of its commands touches more than the sandbox."""
        commands = [*self.lines.values(), *([self.cell] if self.cell else [])]
        return any(command.reach is not Reach.SANDBOX for command in commands)

    async def run(self, call: MagicCall) -> Any:
        """Run the magic, and return the value that `x = %name …` assigns. Raises DaytonaError."""
        if take_word(call.line)[0] in ("--help", "-h"):
            await call.print(self.usage + "\n")
            return None
        command, text = self._choose(call.line, of_cell=call.body is not None)
        try:
            values = parse_arguments(text, command.signature)
        except HelpRequested:
            await call.print("\n".join(command.usage(summary=self._has_subcommands)).lstrip() + "\n")
            return None
        except MagicUsageError as error:
            raise MagicUsageError(f"{error} See {command.begin} --help.") from None
        if command.reach is not Reach.SANDBOX:
            await call.require_permission(command, values)
        return await command.handler(call, **values)

    def parse(self, line: str, *, of_cell: bool) -> tuple[Command, dict[str, Any]]:
        """Return the command that a line calls, and the values of its arguments.

        Raises MagicUsageError and HelpRequested.
        """
        command, text = self._choose(line, of_cell=of_cell)
        return command, parse_arguments(text, command.signature)

    def expected(self, text: str, *, of_cell: bool) -> Expected:
        """Return the completions after the magic's name and `text`."""
        if self.cell is not None and (of_cell or not self.lines):
            return expected_after(text, self.cell.signature)
        if "" in self.lines:
            return expected_after(text, self.lines[""].signature)
        name, after = take_word(text)
        if name in self.lines and after:
            return expected_after(after, self.lines[name].signature)
        return Expected([*self.lines, "--help"], "", {})

    @property
    def commands(self) -> list[Command]:
        """All commands, the cell magic last."""
        return [*self.lines.values(), *([self.cell] if self.cell is not None else [])]

    @property
    def usage(self) -> str:
        """The text of `--help`."""
        lines = [self.help, ""]
        for command in self.commands:
            lines += command.usage(summary=self._has_subcommands)
        return "\n".join(lines)

    @property
    def _has_subcommands(self) -> bool:
        return any(self.lines)

    def _choose(self, line: str, *, of_cell: bool) -> tuple[Command, str]:
        """Return the command that a line calls, and the text of its arguments."""
        if self.cell is not None:
            if of_cell:
                return self.cell, line
            if not self.lines:
                raise MagicUsageError(
                    f"%%{self.name} is a cell magic: it starts a cell and takes the lines below it."
                )
        if "" in self.lines:
            return self.lines[""], line
        name, text = take_word(line)
        if self.default is not None and (name is None or name.startswith("-")):
            return self.lines[self.default], line
        known = ", ".join(self.lines)
        if name is None:
            raise MagicUsageError(f"%{self.name} needs one of: {known}. See %{self.name} --help.")
        if name not in self.lines:
            raise MagicUsageError(f"%{self.name} has no {name!r}; it has: {known}.")
        return self.lines[name], text
