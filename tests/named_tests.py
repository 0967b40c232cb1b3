"""The tests that tables of the documentation name, in the last column of each row."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent


def assert_names_a_test(row: str) -> None:
    """Assert that a row of a table names a test that exists."""
    named = re.fullmatch(r"`([\w/]+\.py)::(test_\w+)`", row.strip("| ").rpartition(" | ")[2])
    assert named is not None
    assert re.search(rf"^(async )?def {named[2]}\(", (TESTS / named[1]).read_text(), re.MULTILINE)
