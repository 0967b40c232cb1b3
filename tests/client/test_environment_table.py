"""docs/environment.md lists every environment variable of the project."""

from __future__ import annotations

import re
from pathlib import Path

from daytona_kernel.settings.table import TABLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "environment.md").read_text()
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in PAGE.splitlines()
    if line.startswith("| `")
]
VARIABLE = re.compile(r"\bDAYTONA_[A-Z_]+\b")


def test_every_variable_in_the_source_is_in_a_table_and_the_reverse() -> None:
    in_source = {
        name
        for source in (ROOT / "daytona_kernel").rglob("*.py")
        for name in VARIABLE.findall(source.read_text())
        if not name.endswith("_")  # the beginning of the variables of a sandbox's settings
    }
    in_tables = {name for row in ROWS for name in VARIABLE.findall(row[0])}
    assert in_tables == in_source | {each.variable for each in TABLE.values()}


def test_every_cell_of_the_tables_has_text() -> None:
    assert len(ROWS) > 15
    assert all(len(row) in (4, 5) and all(row) for row in ROWS)
