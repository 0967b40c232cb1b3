"""A table in a notebook: HTML, and text for front ends without HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ..formatting import format_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

# A longer cell may take several lines.
_SHORT = 24


class Code(str):
    """A cell with code, an id or a name that a person may copy; other cells have words."""

    __slots__ = ()


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, none: str = "") -> dict[str, str]:
    """Return the MIME bundle of a table.

    head: the names of the columns. If all are "", the table has no head.
    none: the text for a table without rows.
    """
    if not rows:
        return {"text/plain": none, "text/html": f"<p>{escape(none)}</p>"}
    head_rows = [head] if any(head) else []
    return {"text/plain": format_columns([*head_rows, *rows]), "text/html": _html(head, rows)}


def _html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    titles = "".join(f'<th style="text-align:left">{escape(each)}</th>' for each in head)
    thead = f"<thead><tr>{titles}</tr></thead>" if any(head) else ""
    body = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in rows)
    return f"<table>{thead}<tbody>{body}</tbody></table>"


def _html_cell(text: str) -> str:
    short = len(text) <= _SHORT
    if isinstance(text, Code) and text:
        # In `code`, JupyterLab does not take the dollars of a command for a formula.
        style = ' style="white-space:pre"' if short else ""
        return f'<td style="text-align:left"><code{style}>{escape(text)}</code></td>'
    wrap = ";white-space:nowrap" if short else ""
    return f'<td style="text-align:left{wrap}">{escape(text)}</td>'
