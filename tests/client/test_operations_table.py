"""docs/operations.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daytona_kernel import Daytona, FileSystem, Process, Sandbox

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "operations.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TABLE.splitlines()
    if line.startswith("| ") and not line.startswith("| operation")
]


def test_no_cell_is_empty() -> None:
    assert len(ROWS) > 30
    assert all(cell for row in ROWS for cell in row)


@pytest.mark.parametrize("kind", [Daytona, Sandbox, Process, FileSystem])
def test_every_method_has_its_row(kind: type) -> None:
    methods = {name for name, value in vars(kind).items() if callable(value) and name[0] != "_"} - {"close"}
    named = set(re.findall(rf"`{kind.__name__}\.(\w+)`", TABLE))
    assert methods == named


def test_the_tests_that_it_names_exist() -> None:
    for row in ROWS:
        for name in re.findall(r"`(test_\w+)`", row[4]):
            assert (ROOT / "tests" / "client" / f"{name}.py").exists()
        for name in re.findall(r"`(test_\w+)`", " ".join(row[5:])):
            assert (ROOT / "tests" / "server" / f"{name}.py").exists()
