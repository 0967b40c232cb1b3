"""Recognizes a cell that is a single magic of the kernel.

Such a cell goes to the interpreter like any other cell, so that IPython handles its place among the cells,
`In`, expansion and capturing. Only while there is no interpreter, the kernel runs such a cell itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

_MAGIC = re.compile(r"\s*(%%?)([A-Za-z_]\w*)(?:[ \t]+([^\n]*))?(?:\n(.*))?\Z", re.DOTALL)


@dataclass(frozen=True)
class MagicCell:
    """A cell that is a single magic.

    line: the text after the magic's name. body: the lines below a cell magic; None for a line magic.
    """

    name: str
    line: str
    body: str | None


def parse_magic_cell(code: str, names: Container[str]) -> MagicCell | None:
    """Return the magic if the whole cell is one, else None. names: the kernel's magics."""
    match = _MAGIC.match(code)
    if match is None or match[2] not in names:
        return None
    marker, name, line, body = match.groups()
    if marker == "%%":
        return MagicCell(name, (line or "").strip(), body or "")
    if body and body.strip():
        return None
    return MagicCell(name, (line or "").strip(), None)
