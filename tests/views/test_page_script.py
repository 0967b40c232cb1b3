"""The page's side of the log view is one module, made of files that also work on their own."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from daytona_kernel.formatting import format_bytes, format_clock, format_count
from daytona_kernel.views.log_view import _MODULES, LogView, join_modules
from daytona_kernel.views.styled_text import STATIC

CASES = json.loads((Path(__file__).parent.parent / "javascript" / "formats.json").read_text())


def test_each_file_is_in_the_module_after_the_files_that_it_imports() -> None:
    assert sorted(_MODULES) == sorted(path.stem for path in STATIC.glob("*.js"))
    for place, name in enumerate(_MODULES):
        imported = re.findall(
            r'^import .*"\./(\w+)\.js";$', (STATIC / f"{name}.js").read_text(), re.MULTILINE
        )
        assert set(imported) <= set(_MODULES[:place]), name


def test_the_module_imports_nothing_and_declares_each_name_once() -> None:
    script = join_modules()
    assert re.findall(r"^import\b.*", script, re.MULTILINE) == []
    assert re.findall(r"^export\b.*", script, re.MULTILINE) == ["export default {"]
    declared = re.findall(r"^(?:class|const|let|function\*?) (\w+)", script, re.MULTILINE)
    assert {name for name, count in Counter(declared).items() if count > 1} == set()
    assert LogView._esm == script


@pytest.mark.parametrize(("seconds", "text"), CASES["clock"])
def test_durations_are_as_in_the_page(seconds: float, text: str) -> None:
    assert format_clock(seconds) == text


@pytest.mark.parametrize(("count", "text"), CASES["bytes"])
def test_sizes_are_as_in_the_page(count: int, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(("count", "text"), CASES["lines"])
def test_counts_are_as_in_the_page(count: int, text: str) -> None:
    assert format_count(count, "line") == text
