"""The words of a magic call that need a person's permission: compared, described, and found in folders.

See `kernel.host.permissions` for who decides. A word is *computed* if it is written with a variable, as in
`{name}` or `$name`: the sandbox then chooses its value.
"""

from __future__ import annotations

import glob
import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..formatting import quote
from ..settings.resolution import value
from .copying import local_files
from .copying.patterns import is_pattern
from .copying.plan import FOLDER_KINDS
from .reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .magic import Command

# A question about more than this would not be read.
_MOST_WORDS = 12
_MOST_CHARACTERS = 1500


def has_same_words(command: Command, written: Mapping[str, Any], called: Mapping[str, Any]) -> bool:
    """Return whether a call has the written words, except for computed words of the sandbox's side.

    written, called: the values of the command's arguments, in the cell's text and in the call.
    """
    there = {each.parameter for each in command.signature.positionals if "path" in each.kind.split()}
    if any(written[name] != called[name] for name in written if name not in there):
        return False
    pairs: list[tuple[str, str]] = []
    for name in there:
        before, after = _words(written[name]), _words(called[name])
        if len(before) != len(after):
            return False
        pairs += zip(before, after, strict=True)
    return all(
        before == after
        or (
            _is_computed(before)
            and (command.reach is not Reach.WRITE or _lands_as_written(before, after, called))
        )
        for before, after in pairs
    )


def _lands_as_written(written: str, called: str, values: Mapping[str, Any]) -> bool:
    """Return whether the name that a download gets here is the written one: of its source, or its target."""
    name = posixpath.basename(written.rstrip("/"))
    if not _is_computed(name) and name == posixpath.basename(called.rstrip("/")):
        return True
    target = values["local"]
    is_name = (
        target is not None
        and not target.endswith(("/", os.sep))
        and local_files.kind(target) not in FOLDER_KINDS
    )
    return is_name and len(values["remote"]) == 1 and not is_pattern(called)


def _is_computed(word: str) -> bool:
    return "{" in word or "$" in word


def _words(value: str | list[str] | None) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else value


def describe_call(command: Command, values: Mapping[str, Any]) -> str:
    """Return what a call would do, for a question. Text of the sandbox is quoted, and adds no lines."""
    lines = [f"Code in the sandbox wants to {command.reach.value}:", f"  {command.begin}"]
    for positional in command.signature.positionals:
        value = values[positional.parameter]
        if positional.kind == "local":
            local = (os.path.realpath(local_files.absolute(each)) for each in _words(value or "."))
            lines += [f"  on this machine: {quote(each)}" for each in local]
        else:
            place = "in the sandbox" if positional.kind == "path" else positional.name
            lines += [f"  {place}: {quote(each)}" for each in _words(value)]
    options = [each for each in command.signature.options if values[each.parameter] != each.default]
    lines += [f"  --{each.name}" for each in options]
    return "\n".join(lines)


def is_short(command: Command, values: Mapping[str, Any]) -> bool:
    """Return whether a person can be expected to read a question about this call."""
    words = [word for each in command.signature.positionals for word in _words(values[each.parameter])]
    return len(words) <= _MOST_WORDS and sum(map(len, words)) <= _MOST_CHARACTERS


class Folders:
    """The folders of this machine that computed paths may read and write without a question."""

    def __init__(self, folders: Iterable[str] = ()) -> None:
        self._folders = [Path(os.path.realpath(each)) for each in folders]

    @classmethod
    def from_settings(cls, environ: Mapping[str, str]) -> Folders:
        """Return the absolute folders of the setting `folders`: a notebook's place decides nothing."""
        text = value("folders", environ, strict="") or ""
        named = (local_files.expand_user(each) for each in text.split(os.pathsep))
        return cls(each for each in named if Path(each).is_absolute())

    def contain(self, command: Command, values: Mapping[str, Any]) -> bool:
        """Return whether all files of this machine that a call may read or write are in these folders."""
        if not self._folders or command.reach not in (Reach.READ, Reach.WRITE):
            return False
        words = [
            word
            for each in command.signature.positionals
            if each.kind == "local"
            for word in _words(values[each.parameter] or ".")
        ]
        return all(self._contains(local_files.absolute(word)) for word in words) and (
            command.reach is Reach.WRITE
            or all(self._contains(path) for word in words for path in _matches(word))
        )

    def _contains(self, path: str) -> bool:
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(folder) for folder in self._folders)


def _matches(word: str) -> Iterator[str]:
    path = local_files.absolute(word)
    return iter([path]) if os.path.lexists(path) else glob.iglob(path, recursive=True)  # noqa: PTH207
