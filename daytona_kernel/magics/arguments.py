"""The parser of a magic's line, for running and for completion.

A shell command keeps its quotes, pipes and dollars. The parser therefore splits only the beginning of
a line into words: the declared positionals in their order, and options anywhere among them. The raw
rest, for a magic that takes one, starts at the first word that is neither, or after `--`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import MagicUsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .signature import Option, Positional, Signature

# The whole word is a path of Windows, with a drive or a server. It keeps its backslashes.
_WINDOWS = r"""(?:[A-Za-z]:\\|\\\\[\w.$-]+\\[\w.$-])[^\s"']*(?!\S)"""
_WORD = re.compile(rf"""\s*({_WINDOWS}|(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+)""")
_QUOTED = re.compile(r""""((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)""")


class HelpRequested(Exception):  # noqa: N818  (it is not an error)
    """The arguments contain `--help`."""


def parse_arguments(text: str, signature: Signature) -> dict[str, Any]:
    """Return the values by the handler's parameters.

    A missing option or word is None, False for a flag, and [] for a list.

    Raises MagicUsageError and HelpRequested.
    """
    values = {option.parameter: option.default for option in signature.options}
    words: dict[str, list[str]] = {positional.name: [] for positional in signature.positionals}
    rest = ""
    for step in _walk(text, signature):
        match step:
            case _OptionStep():
                _take_option(step, signature, values)
            case _WordStep():
                if step.positional is None:
                    raise MagicUsageError(f"Too many arguments: {step.word!r}.")
                words[step.positional.name].append(step.word)
            case _End():
                rest = step.text.strip()
    if signature.rest is None and rest:
        raise MagicUsageError(f"A quote is not closed: {rest}")
    values |= _assign_words(signature.positionals, words)
    if signature.rest is not None:
        if not signature.rest_optional and not rest:
            raise MagicUsageError(f"{signature.rest.upper()} is missing.")
        values[signature.rest] = rest
    return values


@dataclass(frozen=True)
class Expected:
    """The completions at the end of a line.

    words: options and subcommands. kind: the kinds of other words, separated by spaces; "" for none.
    given: the positionals before the cursor, by name. typed: the part of the word before the cursor.
    """

    words: Sequence[str]
    kind: str
    given: dict[str, str]
    typed: str = ""


def expected_after(text: str, signature: Signature) -> Expected:
    """Return the completions after `text`. Its last word is still being typed, unless a space ends it."""
    given: dict[str, str] = {}
    used: set[str] = set()
    for step in _walk(text, signature, typing=True):
        match step:
            case _OptionStep():
                used.add(step.name)
            case _WordStep(positional=positional) if positional is not None:
                given[positional.name] = step.word
            case _End():
                return _expected_at(step, signature, given, used)
    raise AssertionError("_walk yields an _End")


def _expected_at(end: _End, signature: Signature, given: dict[str, str], used: set[str]) -> Expected:
    typed = take_word(end.text)[0] or ""
    if end.option is not None:
        return Expected((), end.option.kind, given, typed)
    rest_kind = signature.rest_kind if signature.rest else ""
    if end.is_rest:
        return Expected((), rest_kind, given, end.text.rpartition(" ")[2])
    name, equals, value = typed.removeprefix("--").partition("=")
    option = _find_option(name, signature)
    if typed.startswith("--") and equals and option is not None:
        return Expected((), option.kind, given, value)
    unused = [f"--{o.name}" for o in signature.options if o.name not in used or o.repeated]
    if typed.startswith("-"):
        return Expected([*unused, "--help"], "", given, typed)
    remaining = [p for p in signature.positionals if p.repeated or p.name not in given]
    if not remaining:
        return Expected(unused, rest_kind, given, typed)
    first, *others = remaining
    satisfied = first.optional or first.name in given
    kinds = [first.kind, *(p.kind for p in others if first.name in given)]
    return Expected(unused if satisfied else (), " ".join(kinds), given, typed)


def take_word(text: str) -> tuple[str | None, str]:
    """Split off the first word, without its quotes; None when there is none."""
    word, end = _word_at(text, 0)
    return word, text[end:]


def _word_at(text: str, position: int) -> tuple[str | None, int]:
    """Return the next word from a position, without its quotes, and its end; None when there is none."""
    match = _WORD.match(text, position)
    if match is None:
        return None, position
    word = match[1]
    return word if re.match(_WINDOWS, word) else _QUOTED.sub(_unquote, word), match.end()


@dataclass(frozen=True)
class _OptionStep:
    """An option in a line, declared or not. value: its text; None for a flag and for a missing value."""

    name: str
    value: str | None


@dataclass(frozen=True)
class _WordStep:
    """A word in a line. positional: None for a word too many."""

    word: str
    positional: Positional | None


@dataclass(frozen=True)
class _End:
    """The last step: the text that is left.

    is_rest: whether the text is the raw rest or has words too many. option: the option whose value is
        being typed; None for no such option.
    """

    text: str
    is_rest: bool = False
    option: Option | None = None


def _walk(
    text: str, signature: Signature, *, typing: bool = False
) -> Iterator[_OptionStep | _WordStep | _End]:
    """Read a line word by word, and assign each word to the signature. Always yields an _End.

    typing: whether a word that ends the text is still being typed. It stays in the text of the _End.
    """
    positionals = list(signature.positionals)
    options_ended = False
    # A position and not the rest of the text: copies of it would make a long line slow.
    position = 0
    while True:
        word, end = _word_at(text, position)
        if word is None or (typing and end == len(text)):
            yield _End(text[position:])
            return
        if word == "--" and not options_ended:
            options_ended = True
            if signature.rest is not None:
                yield _End(text[end:], is_rest=True)
                return
        elif word.startswith("--") and not options_ended:
            name, equals, value = word.removeprefix("--").partition("=")
            option = _find_option(name, signature)
            if option is None or option.value is None or equals:
                yield _OptionStep(name, value if equals else None)
            else:
                following, value_end = _word_at(text, end)
                if typing and (following is None or value_end == len(text)):
                    yield _End(text[end:], option=option)
                    return
                yield _OptionStep(name, following)
                end = value_end
        elif positionals:
            yield _WordStep(word, positionals[0] if positionals[0].repeated else positionals.pop(0))
        elif typing or (signature.rest is not None and not _is_misspelled_option(word)):
            yield _End(text[position:], is_rest=True)
            return
        else:
            yield _WordStep(word, None)
        position = end


def _find_option(name: str, signature: Signature) -> Option | None:
    return next((option for option in signature.options if option.name == name), None)


def _take_option(step: _OptionStep, signature: Signature, values: dict[str, Any]) -> None:
    option = _find_option(step.name, signature)
    if option is None:
        if step.name == "help":
            raise HelpRequested
        known = ", ".join(f"--{each.name}" for each in signature.options) or "none"
        raise MagicUsageError(f"Unknown option --{step.name}; the options are: {known}.")
    if option.value is None:
        if step.value is not None:
            raise MagicUsageError(f"--{option.name} takes no value.")
        values[option.parameter] = True
        return
    if step.value is None:
        raise MagicUsageError(f"--{option.name} needs a value: {option.value}.")
    try:
        converted = option.convert(step.value)
    except ValueError:
        raise MagicUsageError(f"--{option.name} takes {option.help}, not {step.value!r}.") from None
    if option.repeated:
        values[option.parameter].append(converted)
    else:
        values[option.parameter] = converted


def _assign_words(positionals: Sequence[Positional], words: dict[str, list[str]]) -> dict[str, Any]:
    """Return the values of the positionals. A repeated one leaves its last words to those after it."""
    for index, positional in enumerate(positionals):
        if positional.repeated:
            for later in reversed(positionals[index + 1 :]):
                if len(words[positional.name]) > 1:
                    words[later.name] = [words[positional.name].pop()]
    for positional in positionals:
        if not words[positional.name] and not positional.optional:
            raise MagicUsageError(f"{positional.name.upper()} is missing: {positional.help}.")
    return {
        positional.parameter: words[positional.name]
        if positional.repeated
        else next(iter(words[positional.name]), None)
        for positional in positionals
    }


def _is_misspelled_option(word: str) -> bool:
    # No shell command starts with a dash, so the reader meant an option.
    return word.startswith("-") and word != "-"


def _unquote(match: re.Match[str]) -> str:
    double, single, escaped = match.groups()
    if double is not None:
        return re.sub(r"\\([\"\\$`])", r"\1", double)
    return str(single if single is not None else escaped)
