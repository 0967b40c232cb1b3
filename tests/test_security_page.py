"""docs/security.md names a test for each attack."""

from __future__ import annotations

import pytest

from tests.named_tests import TESTS, assert_names_a_test

PAGE = (TESTS.parent / "docs" / "security.md").read_text()
TABLE = PAGE.partition("## Attacks")[2].partition("\n## ")[0]
ROWS = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| attack")]


def test_there_are_rows() -> None:
    assert len(ROWS) > 25


@pytest.mark.parametrize("row", ROWS)
def test_each_row_names_a_test_that_exists(row: str) -> None:
    assert_names_a_test(row)


def test_each_file_of_attacks_is_in_the_table() -> None:
    files = {f"attacks/{path.name}" for path in (TESTS / "attacks").glob("test_*.py")}
    assert {file for file in files if file not in TABLE} == set()
