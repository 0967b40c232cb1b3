"""The kernel's magics: each declared once, as an async function with a docstring and a signature.

A declaration gives the parsing, `--help` and `%name?`, completion, and the errors for wrong arguments.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import DaytonaError, MagicUsageError
from .arguments import Expected, HelpWanted, Signature, expected_after, parse_arguments, take_word
from .magic_call import MagicCall

# Completion must be there while the person who types still wants it.
_WORDS_SECONDS = 0.2


Handler = Callable[..., Awaitable[Any]]
# Lists what there is of one kind, given the call and what was typed.
Words = Callable[[MagicCall, Expected], Awaitable[list[str]]]


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
    default: the subcommand that is meant when none is named; None for none.
    cell_only: whether it makes no sense in a line.
    """

    name: str
    help: str
    commands: dict[str, Command]
    cell: list[Command] = field(default_factory=list)
    default: str | None = None
    cell_only: bool = False

    async def run(self, call: MagicCall) -> Any:
        """Run it, and return what its caller assigns. Raises DaytonaError."""
        if take_word(call.line)[0] in ("--help", "-h"):
            await call.print(self.usage + "\n")
            return None
        if self.cell_only and call.body is None:
            raise MagicUsageError(f"%%{self.name} takes what stands below it; begin the cell with it.")
        command, text = self._command(call)
        try:
            values = parse_arguments(text, command.signature)
        except HelpWanted:
            await call.print("\n".join(_usage_of(*self._name_of(command), command)).lstrip() + "\n")
            return None
        except MagicUsageError as error:
            raise MagicUsageError(f"{error} See {self._name_of(command)[0]} --help.") from None
        return await command.handler(call, **values)

    def expected(self, text: str, *, of_cell: bool) -> Expected:
        """Return what may follow the name and `text`."""
        if of_cell and self.cell:
            return expected_after(text, self.cell[0].signature)
        if "" in self.commands:
            return expected_after(text, self.commands[""].signature)
        name, after = take_word(text)
        if name in self.commands and after:
            return expected_after(after, self.commands[name].signature)
        return Expected([*self.commands, "--help"], "", {})

    @property
    def usage(self) -> str:
        """What `--help` prints."""
        lines = [self.help, ""]
        for begin, name, command in self.named:
            lines += _usage_of(begin, name, command)
        return "\n".join(lines)

    @property
    def named(self) -> Iterator[tuple[str, str, Command]]:
        """Each command with how it is called and its subcommand's name, the cell magic's last."""
        for name, command in self.commands.items():
            yield f"{'%%' if self.cell_only else '%'}{self.name} {name}".strip(), name, command
        for command in self.cell:
            yield f"%%{self.name}", self.name, command

    def _name_of(self, command: Command) -> tuple[str, str]:
        return next((begin, name) for begin, name, each in self.named if each is command)

    def _command(self, call: MagicCall) -> tuple[Command, str]:
        if call.body is not None and self.cell:
            return self.cell[0], call.line
        if "" in self.commands:
            return self.commands[""], call.line
        name, text = take_word(call.line)
        name = name or self.default
        known = ", ".join(self.commands)
        if name is None:
            raise MagicUsageError(f"%{self.name} needs one of: {known}. See %{self.name} --help.")
        if name not in self.commands:
            raise MagicUsageError(f"%{self.name} has no {name!r}; it has: {known}.")
        return self.commands[name], text


def _usage_of(begin: str, name: str, command: Command) -> list[str]:
    lines = ["  " + " ".join(word for word in (begin, command.signature.usage) if word)]
    if name:
        lines.append(f"      {command.summary}")
    return lines + [
        f"      {text:<18} {help}"
        for text, help in [
            *((p.usage.strip("[]"), p.help) for p in command.signature.positionals),
            *((f"--{o.name} {o.value or ''}", o.help) for o in command.signature.options),
        ]
    ]


class Registry:
    """The magics by name."""

    def __init__(self) -> None:
        self._magics: dict[str, Magic] = {}
        self._words: dict[str, Words] = {}
        self._known: dict[tuple[str, ...], list[str]] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._magics

    def __iter__(self) -> Iterator[Magic]:
        return iter(self._magics.values())

    @property
    def helps(self) -> dict[str, str]:
        """Their help by name, as the interpreter registers them."""
        return {name: magic.usage for name, magic in self._magics.items()}

    def magic(
        self, name: str, signature: Signature, *, cell_only: bool = False
    ) -> Callable[[Handler], Handler]:
        """Declare a magic without subcommands."""

        def declare(handler: Handler) -> Handler:
            help = inspect.getdoc(handler) or ""
            self._magics[name] = Magic(name, help, {"": Command(signature, handler)}, cell_only=cell_only)
            return handler

        return declare

    def group(
        self, name: str, help: str, default: str | None = None
    ) -> Callable[[str, Signature], Callable[[Handler], Handler]]:
        """Declare a magic with subcommands; each is declared with what this returns.

        The subcommand `%%` is what the cell magic runs.
        """
        magic = self._magics[name] = Magic(name, help, {}, default=default)

        def subcommand(command: str, signature: Signature) -> Callable[[Handler], Handler]:
            def declare(handler: Handler) -> Handler:
                if command == "%%":
                    magic.cell.append(Command(signature, handler))
                else:
                    magic.commands[command] = Command(signature, handler)
                return handler

            return declare

        return subcommand

    def words(self, kind: str, list_words: Words) -> None:
        """Say what lists the words of a kind, for completion."""
        self._words[kind] = list_words

    async def complete(self, name: str, text: str, call: MagicCall, *, of_cell: bool) -> dict[str, Any]:
        """Return the `words` that may follow, and whether `paths` of the sandbox may.

        A list that does not come in time is the one that came last.
        """
        expected = self._magics[name].expected(text, of_cell=of_cell)
        words = list(expected.words)
        kinds = expected.kind.split()
        for kind in kinds:
            if kind in self._words:
                key = (kind, expected.begun.rpartition("/")[0], *expected.given.values())
                try:
                    listing = self._words[kind](call, expected)
                    self._known[key] = await asyncio.wait_for(listing, _WORDS_SECONDS)
                except (DaytonaError, TimeoutError):
                    pass
                words = self._known.get(key, []) + words
        return {"words": words, "paths": "path" in kinds}

    async def run(self, name: str, call: MagicCall) -> Any:
        """Run a magic by name. Raises DaytonaError."""
        if name not in self._magics:
            raise DaytonaError(f"The kernel has no magic {name!r}.")
        return await self._magics[name].run(call)
