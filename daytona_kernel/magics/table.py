"""A table in a notebook: HTML, and text for front ends without HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ..formatting import format_columns

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

_LEFT = ' style="text-align:left"'


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, none: str = "", code: Container[int] = ()
) -> dict[str, str]:
    """Return the MIME bundle of a table.

    head: the names of the columns. If all are "", the table has no head.
    none: the text for a table without rows. code: the columns that hold names and commands.
    """
    if not rows:
        return {"text/plain": none, "text/html": f"<p>{escape(none)}</p>"}
    head_rows = [head] if any(head) else []
    return {"text/plain": format_columns([*head_rows, *rows]), "text/html": _html(head, rows, code)}


def _html(head: Sequence[str], rows: Sequence[Sequence[str]], code: Container[int]) -> str:
    titles = "".join(f"<th{_LEFT}>{escape(each)}</th>" for each in head)
    thead = f"<thead><tr>{titles}</tr></thead>" if any(head) else ""
    body = "".join(
        "<tr>" + "".join(_html_cell(cell, column in code) for column, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f"<table>{thead}<tbody>{body}</tbody></table>"


def _html_cell(text: str, is_code: bool) -> str:
    # In `code`, JupyterLab does not take the dollars of a command for a formula.
    content = f"<code>{escape(text)}</code>" if is_code and text else escape(text)
    return f"<td{_LEFT}>{content}</td>"
