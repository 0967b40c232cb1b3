"""docs/reliability.md names a test for each promise."""

from __future__ import annotations

import pytest

from tests.named_tests import TESTS, assert_names_a_test

PAGE = (TESTS.parent / "docs" / "reliability.md").read_text()
# The table of the matrix, before this one, has one test for all rows.
ROWS = [
    line
    for line in PAGE.partition("\n| when ")[2].partition("\n\n")[0].splitlines()[2:]
    if line.startswith("|")
]


def test_the_page_has_rows() -> None:
    assert len(ROWS) > 15


@pytest.mark.parametrize("row", ROWS)
def test_each_row_names_a_test_that_exists(row: str) -> None:
    assert_names_a_test(row)
