"""The recognition of cells that are a single magic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.kernel.magic_cell import MagicCell, parse_magic_cell

NAMES = {"sh", "session"}


@pytest.mark.parametrize(
    ("code", "cell"),
    [
        ("%sh ls -la", MagicCell("sh", "ls -la", None)),
        ("\n  %sh ls\n\n", MagicCell("sh", "ls", None)),
        ("%%sh --cwd /tmp\nls\npwd", MagicCell("sh", "--cwd /tmp", "ls\npwd")),
        ("%session", MagicCell("session", "", None)),
        ("%%sh", MagicCell("sh", "", "")),
        ("%sh ls\nprint(1)", None),
        ("%time 1", None),
        ("x = %sh ls", None),
        ("%shell", None),
        ("1 + 1", None),
        ("", None),
    ],
)
def test_only_a_cell_that_is_one_magic_is_recognized(code: str, cell: MagicCell | None) -> None:
    assert parse_magic_cell(code, NAMES) == cell


@given(st.text())
def test_any_text_can_be_parsed(code: str) -> None:
    cell = parse_magic_cell(code, NAMES)
    assert cell is None or cell.name in NAMES
