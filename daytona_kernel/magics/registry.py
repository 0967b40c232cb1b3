"""The registry: all magics by name, and the words that complete their arguments."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from ..errors import DaytonaError
from .magic import Command, CommandDeclaration, Handler, Magic, Words, declared_methods
from .reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .arguments import Expected
    from .magic_call import MagicCall

# A completion is useful only while its reader still waits.
_WORDS_SECONDS = 0.2
# The limit of remembered lists. Code in the sandbox can ask for any number of them.
_MOST_LISTS = 100


class Registry:
    """The magics by name."""

    def __init__(self) -> None:
        self._magics: dict[str, Magic] = {}
        self._words: dict[str, tuple[Words, Reach]] = {}
        self._last_words: dict[tuple[str, ...], list[str]] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._magics

    def __iter__(self) -> Iterator[Magic]:
        return iter(self._magics.values())

    @property
    def helps(self) -> dict[str, str]:
        """The help texts by name, as the interpreter registers them."""
        return {name: magic.usage for name, magic in self._magics.items()}

    def add(self, magics: object) -> None:
        """Add the magics that the methods of an object declare; see `magic.py`."""
        for declaration, method in declared_methods(magics):
            if isinstance(declaration, CommandDeclaration):
                self._add_command(declaration, method, group_help=inspect.getdoc(magics) or "")
            else:
                self._words[declaration.kind] = (method, declaration.reach)

    def _add_command(self, declaration: CommandDeclaration, handler: Handler, group_help: str) -> None:
        name, subcommand = declaration.name, declaration.subcommand
        help_text = group_help if subcommand else inspect.getdoc(handler) or ""
        magic = self._magics.setdefault(name, Magic(name, help_text))
        if declaration.is_cell:
            magic.cell = Command(f"%%{name}", declaration.signature, declaration.reach, handler)
        else:
            begin = f"%{name} {subcommand}".strip()
            magic.lines[subcommand] = Command(begin, declaration.signature, declaration.reach, handler)
        if declaration.is_default:
            magic.default = subcommand

    async def complete(
        self, name: str, text: str, call: MagicCall, *, of_cell: bool, is_typed: bool
    ) -> dict[str, Any]:
        """Return the `words` that may follow, and whether `paths` of the sandbox may follow too.

        A list that is late is replaced by the last one that was in time.
        is_typed: whether a front end asks to complete this text. If not, only words of the sandbox follow.

        Raises DaytonaError if there is no such magic.
        """
        expected = self._magic(name).expected(text, of_cell=of_cell)
        words = list(expected.words)
        kinds = expected.kind.split()
        for kind in kinds:
            list_words, reach = self._words.get(kind, (None, Reach.SANDBOX))
            if list_words is not None and (is_typed or reach is Reach.SANDBOX):
                words = await self._list(kind, list_words, call, expected) + words
        return {"words": words, "paths": "path" in kinds}

    async def _list(self, kind: str, list_words: Words, call: MagicCall, expected: Expected) -> list[str]:
        key = (kind, expected.typed.rpartition("/")[0], *expected.given.values())
        try:
            found = await asyncio.wait_for(list_words(call, expected), _WORDS_SECONDS)
        except (DaytonaError, TimeoutError):
            return self._last_words.get(key, [])
        self._last_words.pop(key, None)
        self._last_words[key] = found
        if len(self._last_words) > _MOST_LISTS:
            del self._last_words[next(iter(self._last_words))]
        return found

    def parse(self, name: str, line: str, *, of_cell: bool) -> tuple[Command, dict[str, Any]]:
        """Return the command that a magic's line calls, and the values of its arguments.

        Raises DaytonaError and HelpRequested.
        """
        return self._magic(name).parse(line, of_cell=of_cell)

    async def run(self, name: str, call: MagicCall) -> Any:
        """Run a magic by name. Raises DaytonaError."""
        return await self._magic(name).run(call)

    def _magic(self, name: str) -> Magic:
        if name not in self._magics:
            raise DaytonaError(f"The kernel has no magic {name!r}.")
        return self._magics[name]
