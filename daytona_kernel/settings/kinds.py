"""The kinds of values that settings have: read from texts, checked when they come from JSON, and shown.

A text comes from an option, from an environment variable, or from `daytona-kernel config set`.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..known_secrets import without_credentials
from .project import check_project

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_VOLUME = re.compile(r"[^\s:]+:/\S*")
_RATES = ("cpu", "memory", "disk", "gpu")
_HIGHEST_RATE = 1e6
_BETWEEN_ADDRESSES = re.compile(r"[\s,]+")


@dataclass(frozen=True)
class Kind:
    """A kind of values.

    help: what a setting takes, for a message: "a number of cores".
    placeholder: what help shows for the value; "" for the name in capitals, None for a flag.
    check: returns the value of a JSON value. Raises ValueError.
    convert: returns the JSON value of one piece of a text. Raises ValueError.
    split: returns the pieces of a text; None for a text that is one piece. Raises ValueError.
    show: returns a value as a person sees it.
    """

    help: str
    placeholder: str | None
    check: Callable[[Any], Any]
    convert: Callable[[str], Any] = str
    split: Callable[[str], list[str]] | None = None
    show: Callable[[Any], str] = str

    def from_text(self, text: str) -> Any:
        """Return the value of a text. Raises ValueError."""
        return self.from_pieces([text] if self.split is None else self.split(text))

    def check_piece(self, piece: str) -> str:
        """Return a piece of a text as it is. Raises ValueError if no value can have it."""
        self.from_pieces([piece])
        return piece

    def from_pieces(self, pieces: Sequence[str]) -> Any:
        """Return the value of the pieces of a text. Raises ValueError."""
        if self.split is not None:
            return self.check([self.convert(piece) for piece in pieces])
        if len(pieces) != 1:
            raise ValueError
        return self.check(self.convert(pieces[0].strip()))


def choice(*words: str) -> Kind:
    """Return the kind of one of some words."""

    def check(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return Kind(f"one of {', '.join(words)}", "", check, str.lower)


def number(least: int, unit: str) -> Kind:
    """Return the kind of whole numbers from `least` on. unit: what they count, for people."""

    def check(value: Any) -> int:
        if type(value) is not int or value < least:
            raise ValueError
        return value

    return Kind(f"a number of {unit}, {least} or more", "N", check, int)


def _check_seconds(value: Any) -> float:
    if type(value) not in (int, float) or not value > 0:
        raise ValueError
    return float(value)


def _flag_of(text: str) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise ValueError
    return text.lower() in _TRUE


def _check_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004  # a caller catches one exception for every wrong value
    return value


def _check_text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError
    return value.strip()


def _check_credential(value: Any) -> str:
    """Accept any text that is not blank. The client refuses a wrong one, and does not repeat it."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value.strip()


def _check_words(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError  # noqa: TRY004  # as above
    return [_check_text(each) for each in value]


def _check_packages(value: Any) -> list[str]:
    words = _check_words(value)
    if any(word.startswith("-") for word in words):
        raise ValueError
    return words


def _check_volumes(value: Any) -> list[str]:
    words = _check_words(value)
    if not all(_VOLUME.fullmatch(word) for word in words):
        raise ValueError
    return words


def _check_addresses(value: Any) -> list[str]:
    words = _check_words(value)
    if any(_BETWEEN_ADDRESSES.search(word) for word in words):
        raise ValueError
    return words


def _check_variables(value: Any) -> dict[str, str]:
    pairs = [pair for each in value for pair in each.items()] if isinstance(value, list) else value.items()
    for name, text in pairs:
        if not _VARIABLE.fullmatch(name) or not isinstance(text, str) or "\0" in text:
            raise ValueError
    return dict(pairs)


def _check_rates(value: Any) -> dict[str, float]:
    pairs = [pair for each in value for pair in each.items()] if isinstance(value, list) else value.items()
    for name, rate in pairs:
        if name not in _RATES or type(rate) not in (int, float) or not 0 <= rate < _HIGHEST_RATE:
            raise ValueError
    return dict(pairs)


def _rate_of(piece: str) -> dict[str, float]:
    name, _, rate = piece.partition("=")
    return {name: float(rate)}


def _variable_of(piece: str) -> dict[str, str]:
    name, equals, value = piece.partition("=")
    if not equals:
        raise ValueError
    return {name: value}


SECONDS = Kind("a number of seconds", "S", _check_seconds, float)
TEXT = Kind("a text", "", _check_text)
CREDENTIAL = Kind("a text", "", _check_credential)
URL = Kind("a text", "", _check_credential, show=without_credentials)
PROJECT = Kind("a folder, mount, mount-ro, mount:FOLDER, mount-ro:FOLDER or off", "FOLDER", check_project)
FLAG = Kind("true or false", None, _check_flag, _flag_of, show=lambda value: "yes" if value else "no")
PACKAGES = Kind("a list of packages", "PACKAGE", _check_packages, split=shlex.split, show=", ".join)
VOLUMES = Kind("a list of VOLUME:/PATH", "VOLUME:/PATH", _check_volumes, split=shlex.split, show=", ".join)
ADDRESSES = Kind(
    "a list of addresses",
    "ADDRESS",
    _check_addresses,
    split=lambda text: [each for each in _BETWEEN_ADDRESSES.split(text) if each],
    show=", ".join,
)
# Values of variables may be secrets, so only their names are shown.
VARIABLES = Kind(
    "NAME=VALUE, in a file an object of names and texts",
    "NAME=VALUE",
    _check_variables,
    _variable_of,
    shlex.split,
    ", ".join,
)
RATES = Kind(
    "NAME=RATE for cpu, memory, disk and gpu, in a file an object of names and numbers",
    "NAME=RATE",
    _check_rates,
    _rate_of,
    shlex.split,
    lambda rates: ", ".join(f"{name} {rate:g}" for name, rate in rates.items()),
)
