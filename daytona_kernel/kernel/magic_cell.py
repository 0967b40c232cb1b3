"""What a cell is, seen by the kernel: code for the interpreter, or a magic that the kernel can run itself.

Cells of kernel magics go through the interpreter like any other, so that their place among the
cells, `In`, expansion and capturing are IPython's own. Only when there is no interpreter, or it is
still being installed, the kernel runs a cell itself, if the whole of it is one of its magics.
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
    """A cell that is a single magic. body: what follows the first line of a cell magic, else None."""

    name: str
    line: str
    body: str | None


def parse_magic_cell(code: str, names: Container[str]) -> MagicCell | None:
    """Return the magic that the whole cell is, or None when it is anything else.

    names: the magics that the kernel knows.
    """
    match = _MAGIC.match(code)
    if match is None or match[2] not in names:
        return None
    marker, name, line, body = match.groups()
    if marker == "%%":
        return MagicCell(name, (line or "").strip(), body or "")
    if body and body.strip():
        return None
    return MagicCell(name, (line or "").strip(), None)
