"""The registry: all magics by name, and the words that complete their arguments."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from ..errors import DaytonaError
from .magic import Command, CommandDeclaration, Handler, Magic, Words, declared_methods

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .magic_call import MagicCall

# A completion is useful only while its reader still waits.
_WORDS_SECONDS = 0.2


class Registry:
    """The magics by name."""

    def __init__(self) -> None:
        self._magics: dict[str, Magic] = {}
        self._words: dict[str, Words] = {}
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
                self._words[declaration.kind] = method

    def _add_command(self, declaration: CommandDeclaration, handler: Handler, group_help: str) -> None:
        name, subcommand = declaration.name, declaration.subcommand
        help_text = group_help if subcommand else inspect.getdoc(handler) or ""
        magic = self._magics.setdefault(name, Magic(name, help_text))
        if declaration.is_cell:
            magic.cell = Command(f"%%{name}", declaration.signature, handler)
        else:
            magic.lines[subcommand] = Command(f"%{name} {subcommand}".strip(), declaration.signature, handler)
        if declaration.is_default:
            magic.default = subcommand

    async def complete(self, name: str, text: str, call: MagicCall, *, of_cell: bool) -> dict[str, Any]:
        """Return the `words` that may follow, and whether `paths` of the sandbox may follow too.

        A list that is late is replaced by the last one that was in time.
        """
        expected = self._magics[name].expected(text, of_cell=of_cell)
        words = list(expected.words)
        kinds = expected.kind.split()
        for kind in kinds:
            if kind in self._words:
                key = (kind, expected.typed.rpartition("/")[0], *expected.given.values())
                try:
                    listing = self._words[kind](call, expected)
                    self._last_words[key] = await asyncio.wait_for(listing, _WORDS_SECONDS)
                except (DaytonaError, TimeoutError):
                    pass
                words = self._last_words.get(key, []) + words
        return {"words": words, "paths": "path" in kinds}

    async def run(self, name: str, call: MagicCall) -> Any:
        """Run a magic by name. Raises DaytonaError."""
        if name not in self._magics:
            raise DaytonaError(f"The kernel has no magic {name!r}.")
        return await self._magics[name].run(call)
