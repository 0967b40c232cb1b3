"""The arguments of a magic: declared once, parsed without touching what is meant for a shell.

A shell command keeps its quotes, pipes and dollars, so only what stands before it is split into
words: the declared positionals in their order, and options anywhere among them. The rest, for a
magic that takes one, begins with the first word that is neither, or after `--`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import MagicUsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class HelpWanted(Exception):  # noqa: N818
    """`--help` stands among the arguments."""


_WORD = re.compile(r"""\s*((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+)""")


@dataclass(frozen=True)
class Option:
    """An option, as `--timeout S`.

    name: without the dashes. value: what stands for its value in help, None for a flag.
    convert: turns the text into the value; its ValueError becomes a sentence.
    repeated: whether it may be given several times; the value is then a list.
    kind: of what the value is one, for completion; see Registry.words.
    """

    name: str
    help: str
    value: str | None = None
    convert: Any = str
    repeated: bool = False
    kind: str = ""


@dataclass(frozen=True)
class Positional:
    """A word that must stand there, or may (`optional`). kind: as of an Option.

    repeated: whether it takes all words there are, less those for what stands after it, as the
    sources of `cp` do; the value is then a list.
    """

    name: str
    help: str
    optional: bool = False
    kind: str = ""
    repeated: bool = False

    @property
    def usage(self) -> str:
        """As help shows it."""
        name = self.name.upper() + "…" * self.repeated
        return f"[{name}]" if self.optional else name


@dataclass(frozen=True)
class Signature:
    """What a magic, or a subcommand of one, takes.

    rest: the name of the raw text at the end, if any. rest_kind: as the kind of an Option.
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


def parse_arguments(text: str, signature: Signature) -> dict[str, Any]:
    """Return the values by name; what was not given is None, False for a flag, [] for a list.

    Raises MagicUsageError, in one sentence, and HelpWanted.
    """
    values: dict[str, Any] = {p.name: [] if p.repeated else None for p in signature.positionals}
    options = {option.name: option for option in signature.options}
    for option in signature.options:
        values[option.name.replace("-", "_")] = (
            [] if option.repeated else False if option.value is None else None
        )
    expected = list(signature.positionals)
    while True:
        word, after = take_word(text)
        if word is None:
            if text.strip() and signature.rest is None:
                raise MagicUsageError(f"A quote is not closed: {text.strip()}")
            break
        if word == "--":
            text = after
            if expected and expected[0].repeated:
                values[expected[0].name] += _words_of(text)
            break
        if word.startswith("--") and (len(word) > 2):
            text = _take_option(word, after, options, values)
        elif expected and expected[0].repeated:
            values[expected[0].name].append(word)
            text = after
        elif expected:
            values[expected.pop(0).name] = word
            text = after
        elif signature.rest is not None and not _is_misspelt(word):
            break
        else:
            raise MagicUsageError(f"Too many arguments: {word!r}.")
    if expected and expected[0].repeated:
        _share_out(expected, values)
    missing = next((p for p in expected if not p.optional), None)
    if missing is not None:
        raise MagicUsageError(f"{missing.name.upper()} is missing: {missing.help}.")
    if signature.rest is not None:
        values[signature.rest] = text.strip()
        if not signature.rest_optional and not text.strip():
            raise MagicUsageError(f"{signature.rest.upper()} is missing.")
    return values


@dataclass(frozen=True)
class Expected:
    """What may stand where a person types.

    kind: "" for nothing that has a list; several kinds are separated by spaces.

    given: the positionals before it, by name. begun: the word that is being typed.
    """

    words: Sequence[str]
    kind: str
    given: dict[str, str]
    begun: str = ""


def expected_after(text: str, signature: Signature) -> Expected:
    """Return what may follow `text`, whose last word is being typed unless a space ends it."""
    options = {f"--{option.name}": option for option in signature.options}
    positionals = list(signature.positionals)
    given: dict[str, str] = {}
    used: set[str] = set()
    wanted: Option | None = None
    while True:
        word, after = take_word(text)
        if word is None or not after:
            break
        text = after
        if wanted is not None:
            wanted = None
        elif word.startswith("--"):
            name, equals, _ = word.partition("=")
            used.add(name)
            option = options.get(name)
            wanted = option if option is not None and option.value and not equals else None
        elif positionals and positionals[0].repeated:
            given[positionals[0].name] = word
        elif positionals:
            given[positionals.pop(0).name] = word
        else:
            return Expected((), signature.rest_kind if signature.rest else "", given, text.split(" ")[-1])
    begun = word or ""
    if wanted is not None:
        return Expected((), wanted.kind, given, begun)
    name, equals, value = begun.partition("=")
    if equals and name in options:
        return Expected((), options[name].kind, given, value)
    left = [each for each, option in options.items() if each not in used or option.repeated]
    if begun.startswith("-"):
        return Expected([*left, "--help"], "", given, begun)
    if positionals:
        first, *others = positionals
        enough = first.optional or first.name in given
        kinds = [first.kind, *(p.kind for p in others if first.name in given)]
        return Expected(left if enough else (), " ".join(kinds), given, begun)
    return Expected(left, signature.rest_kind if signature.rest else "", given, begun)


def _share_out(expected: list[Positional], values: dict[str, Any]) -> None:
    """Give the last words of a repeated positional to those after it, and keep one at least."""
    first, *others = expected
    for positional in reversed(others):
        if len(values[first.name]) > 1:
            values[positional.name] = values[first.name].pop()
    expected[:] = [positional for positional in expected if not values[positional.name]]


def _words_of(text: str) -> Iterator[str]:
    word, text = take_word(text)
    while word is not None:
        yield word
        word, text = take_word(text)


def take_word(text: str) -> tuple[str | None, str]:
    """Split off the first word, without its quotes; None when there is none."""
    match = _WORD.match(text)
    if match is None:
        return None, text
    return _unquote(match[1]), text[match.end() :]


def _take_option(word: str, after: str, options: dict[str, Option], values: dict[str, Any]) -> str:
    name, equals, given = word[2:].partition("=")
    option = options.get(name)
    if option is None:
        if name == "help":
            raise HelpWanted
        known = ", ".join(f"--{each}" for each in options) or "none"
        raise MagicUsageError(f"Unknown option --{name}; the options are: {known}.")
    key = option.name.replace("-", "_")
    if option.value is None:
        if equals:
            raise MagicUsageError(f"--{name} takes no value.")
        values[key] = True
        return after
    if not equals:
        value, after = take_word(after)
        if value is None:
            raise MagicUsageError(f"--{name} needs a value: {option.value}.")
        given = value
    try:
        converted = option.convert(given)
    except ValueError:
        raise MagicUsageError(f"--{name} takes {option.help}, not {given!r}.") from None
    if option.repeated:
        values[key].append(converted)
    else:
        values[key] = converted
    return after


def _is_misspelt(word: str) -> bool:
    # A single dash begins no shell command: it is an option that the reader expects us to know.
    return word.startswith("-") and word != "-"


def _unquote(word: str) -> str:
    return re.sub(
        r""""((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)""",
        lambda m: (
            re.sub(r"\\([\"\\$`])", r"\1", m[1]) if m[1] is not None else m[2] if m[2] is not None else m[3]
        ),
        word,
    )
