"""The patterns of the sandbox's side of a copy: `*`, `?`, `[…]` and `**`. No I/O.

The sandbox's shell lists the matches of a pattern. This module checks the list, because the sandbox is not
trusted.
"""

from __future__ import annotations

import fnmatch
import glob
import re
import shlex
from functools import lru_cache

# Brackets may hold only characters without another meaning to a shell.
_GLOB = re.compile(r"[*?]|\[[!^]?[\w.-]+\]")


def is_pattern(path: str) -> bool:
    """Return whether a path has a glob."""
    return _GLOB.search(path) is not None


def quote_all_but_globs(path: str) -> str:
    """Return a path for the shell in which only the globs keep their meaning."""
    pieces, position = [], 0
    for match in _GLOB.finditer(path):
        pieces += [_quote(path[position : match.start()]), match[0]]
        position = match.end()
    return "".join([*pieces, _quote(path[position:])])


def matches(path: str, pattern: str) -> bool:
    """Return whether a path is one that a shell finds for a pattern.

    `**` alone stands for any number of folders. A name that starts with a dot needs a written dot.
    """
    parts, globs = path.strip("/").split("/"), pattern.strip("/").split("/")
    # The numbers of globs that fit the parts so far.
    fitting = {0}
    for part in parts:
        fitting = {
            after
            for number in _behind_stars(fitting, globs)
            if number < len(globs) and _fits(part, globs[number])
            for after in ((number, number + 1) if globs[number] == "**" else (number + 1,))
        }
    return len(globs) in _behind_stars(fitting, globs)


def _behind_stars(numbers: set[int], globs: list[str]) -> set[int]:
    """Return the numbers, and those behind each `**`, which may stand for nothing."""
    found = set(numbers)
    for number in sorted(numbers):
        end = number
        while end < len(globs) and globs[end] == "**":
            end += 1
            found.add(end)
    return found


def _fits(name: str, pattern: str) -> bool:
    if name.startswith(".") and not pattern.startswith("."):
        return False
    return fnmatch.fnmatchcase(name, _as_fnmatch(pattern))


@lru_cache(maxsize=64)
def _as_fnmatch(pattern: str) -> str:
    """Return a part of a pattern for fnmatch, in which only the globs keep their meaning."""
    pieces, position = [], 0
    for match in _GLOB.finditer(pattern):
        pieces += [glob.escape(pattern[position : match.start()]), match[0].replace("[^", "[!")]
        position = match.end()
    return "".join([*pieces, glob.escape(pattern[position:])])


def _quote(text: str) -> str:
    return shlex.quote(text) if text else ""
