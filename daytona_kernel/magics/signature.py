"""The declaration of a magic's arguments, for parsing, help and completion."""

from __future__ import annotations

import builtins
import keyword
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Option:
    """An option, such as `--timeout S`.

    name: without the dashes. value: the placeholder that help shows; None for a flag.
    convert: turns the text into the value. Its ValueError becomes an error message.
    repeated: whether the option may be given several times. Its value is then a list.
    kind: the kind of words that completion offers for the value; see Registry.complete.
    """

    name: str
    help: str
    value: str | None = None
    convert: Callable[[str], Any] = str
    repeated: bool = False
    kind: str = ""

    @property
    def parameter(self) -> str:
        """The handler's parameter for the value."""
        return _parameter(self.name)

    @property
    def default(self) -> Any:
        """The value of an option that is not given."""
        if self.repeated:
            return []
        return False if self.value is None else None


@dataclass(frozen=True)
class Positional:
    """A word at a fixed position. kind: as for an Option.

    repeated: whether it takes all words but those that later positionals need, as the sources of `cp`
        do. Its value is then a list.
    """

    name: str
    help: str
    optional: bool = False
    kind: str = ""
    repeated: bool = False

    @property
    def parameter(self) -> str:
        """The handler's parameter for the word."""
        return _parameter(self.name)

    @property
    def usage(self) -> str:
        """The word as help shows it."""
        name = self.name.upper() + "…" * self.repeated
        return f"[{name}]" if self.optional else name


@dataclass(frozen=True)
class Signature:
    """The arguments of a magic or of a subcommand.

    rest: the name of the raw text at the end; None for none. rest_kind: as the kind of an Option.
    """

    positionals: Sequence[Positional] = ()
    options: Sequence[Option] = ()
    rest: str | None = None
    rest_optional: bool = True
    rest_kind: str = "path"

    @property
    def usage(self) -> str:
        """The arguments as help shows them."""
        words = [positional.usage for positional in self.positionals]
        words += [f"[--{o.name}{f' {o.value}' if o.value else ''}]" for o in self.options]
        if self.rest:
            words.append(f"[{self.rest.upper()}]" if self.rest_optional else self.rest.upper())
        return " ".join(words)


def _parameter(name: str) -> str:
    """Return a parameter's name that is neither a keyword nor a builtin."""
    name = name.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) or hasattr(builtins, name) else name
