"""docs/environment.md lists every environment variable of the project."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "environment.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TABLE.splitlines()
    if line.startswith("| `")
]
VARIABLE = re.compile(r"\bDAYTONA_[A-Z_]+\b")


def test_every_variable_in_the_source_is_in_a_table_and_the_reverse() -> None:
    in_source = {
        name
        for source in (ROOT / "daytona_kernel").rglob("*.py")
        for name in VARIABLE.findall(source.read_text())
    }
    in_tables = {name for row in ROWS for name in VARIABLE.findall(row[0])}
    assert in_tables == in_source


def test_every_cell_of_the_tables_has_text() -> None:
    assert len(ROWS) > 15
    assert all(len(row) == 4 and all(row) for row in ROWS)
