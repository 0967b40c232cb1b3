"""A table as a notebook shows it: HTML, and text for everything else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

_LEFT = ' style="text-align:left"'


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, none: str = "", code: Container[int] = ()
) -> dict[str, str]:
    """Return the MIME bundle of a table.

    head: the columns' names; "" for all of them gives a table without a head. none: what is said
    where there are no rows. code: the columns that are names and commands.
    """
    if not rows:
        return {"text/plain": none, "text/html": f"<p>{escape(none)}</p>"}
    whole = [head, *rows] if any(head) else list(rows)
    widths = [max(len(row[column]) for row in whole) for column in range(len(head))]
    text = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in whole
    )
    # `code` also keeps JupyterLab from reading the dollars of a command as a formula.
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_LEFT}>{f'<code>{escape(cell)}</code>' if column in code and cell else escape(cell)}</td>"
            for column, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    titles = "".join(f"<th{_LEFT}>{escape(each)}</th>" for each in head) if any(head) else ""
    html = f"<table>{f'<thead><tr>{titles}</tr></thead>' if titles else ''}<tbody>{body}</tbody></table>"
    return {"text/plain": text, "text/html": html}
