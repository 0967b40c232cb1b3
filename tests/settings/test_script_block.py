"""The script block of a cell: what counts as one, and what is wrong with others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.errors import SettingError
from daytona_kernel.settings.notebook import read_script_block
from daytona_kernel.settings.script_block import ScriptBlock, fits, parse

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """\
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "requests<3",
#
#   "rich",
# ]
# [tool.uv]
# exclude-newer = "2026-01-01T00:00:00Z"
# ///
import requests"""


@pytest.mark.parametrize(
    ("source", "block"),
    [
        (WHOLE, ScriptBlock(("requests<3", "rich"), ">=3.11")),
        (f"# A title\n\n{WHOLE}", ScriptBlock(("requests<3", "rich"), ">=3.11")),
        ("# /// script\n# ///", ScriptBlock()),
        ("# /// script\n#dependencies = ['a']\n# ///", None),
        ("# /// script\n# dependencies = ['a']\n", None),
        ("# /// script\n# dependencies = ['a']\n\n# ///", None),
        ("# /// pyproject\n# dependencies = ['a']\n# ///", None),
        (" # /// script\n# ///", None),
        ("x = '# /// script'", None),
        ("# /// script\n# dependencies = [\n#   'a',\n# ///\n# ]\n# ///", "is not TOML"),
        ("", None),
    ],
)
def test_a_block_is_read_as_the_standard_says(source: str, block: ScriptBlock | str | None) -> None:
    if isinstance(block, str):
        with pytest.raises(SettingError, match=block):
            parse(source)
    else:
        assert parse(source) == block


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("# dependencies = ", "is not TOML"),
        ("# dependencies = 'a'", "not a list of packages"),
        ("# dependencies = [1]", "not a list of packages"),
        ("# dependencies = ['--index-url=http://evil']", "not a list of packages"),
        ("# requires-python = 3.11", "names no versions"),
        ("# requires-python = 'new'", "names no versions"),
        (f"# a = {'[' * 5000}", "is not TOML"),
    ],
)
def test_a_wrong_block_is_one_sentence_and_advice(lines: str, said: str) -> None:
    with pytest.raises(SettingError, match=said) as raised:
        parse(f"# /// script\n{lines}\n# ///")
    assert raised.value.message.endswith("Change it, and run the cell again.")


def test_two_blocks_are_an_error() -> None:
    with pytest.raises(SettingError, match="2 blocks"):
        parse(f"{WHOLE}\n\n{WHOLE}")


@given(st.text(st.sampled_from("# /script\nd=[]'\"x")), st.text())
def test_any_text_is_a_block_or_none_or_an_error(first: str, second: str) -> None:
    for source in (first, second, f"# /// script\n# {first}\n# ///\n{second}"):
        try:
            parse(source)
        except SettingError:
            pass


def test_versions() -> None:
    assert fits(">=3.11", "3.11.7")
    assert not fits(">=3.12,<4", "3.11.7")


def test_the_first_block_of_a_file_counts(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": "# /// script\n# dependencies = ['no']\n# ///"},
        {"cell_type": "code", "source": ["import os\n"]},
        {"cell_type": "code", "source": WHOLE.splitlines(keepends=True)},
        {"cell_type": "code", "source": "# /// script\n# dependencies = ['later']\n# ///"},
        None,
    ]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}}))
    assert read_script_block(str(path)) == ScriptBlock(("requests<3", "rich"), ">=3.11")
    for text in (
        '{"cells": 1, "a": "# /// script"}',
        '["# /// script"]',
        "# /// script",
        '{"cells": [1, {}]}',
    ):
        path.write_text(text)
        assert read_script_block(str(path)) is None
    assert read_script_block(str(tmp_path / "missing.ipynb")) is None


def test_the_metadata_says_what_a_notebook_without_a_block_needs(tmp_path: Path) -> None:
    needs = {"dependencies": ["requests<3"], "requires-python": ">=3.11"}
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": [], "metadata": {"uv": needs}}, indent=1))
    assert read_script_block(str(path)) == ScriptBlock(("requests<3",), ">=3.11")
    cells = [{"cell_type": "code", "source": WHOLE}]
    path.write_text(json.dumps({"cells": cells, "metadata": {"uv": {"dependencies": ["no"]}}}))
    assert read_script_block(str(path)) == ScriptBlock(("requests<3", "rich"), ">=3.11")
    for wrong, said in (
        ({"dependencies": [1]}, "In `uv` of the notebook's metadata, `dependencies` is not"),
        ({"requires-python": 3}, "In `uv` of the notebook's metadata, `requires-python` names no"),
    ):
        path.write_text(json.dumps({"cells": [], "metadata": {"uv": wrong}}))
        with pytest.raises(SettingError, match=said):
            read_script_block(str(path))
    for other in ("[]", '"httpx"', "null"):
        path.write_text(f'{{"cells": [], "metadata": {{"uv": {other}}}}}')
        assert read_script_block(str(path)) is None
