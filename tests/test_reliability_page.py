"""docs/reliability.md names a test for each promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROWS = [
    line
    for line in (TESTS.parent / "docs" / "reliability.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| when")
]


@pytest.mark.parametrize("row", ROWS)
def test_each_row_names_a_test_that_exists(row: str) -> None:
    named = re.fullmatch(r"`([\w/]+\.py)::(test_\w+)`", row.strip("| ").rpartition(" | ")[2])
    assert named is not None
    assert re.search(rf"^(async )?def {named[2]}\(", (TESTS / named[1]).read_text(), re.MULTILINE)
