"""The patterns of the sandbox's side of a copy: `*`, `?`, `[…]` and `**`. No I/O.

The sandbox's shell lists what a pattern matches. This module finds out whether that is true, because what
the sandbox says is not trusted.
"""

from __future__ import annotations

import re
import shlex

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


def _quote(text: str) -> str:
    return shlex.quote(text) if text else ""
