"""The objects that code names before it has run."""

from __future__ import annotations

import collections
import json
import os
import sys
from pathlib import Path

import pytest

from daytona_kernel.agent.named_objects import imported_names, named_objects


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import os; os.path.jo", {"os": os}),
        ("import os.path\nos.path.jo", {"os": os}),
        ("import os.path as p, json\np.jo", {"p": os.path, "json": json}),
        ("from collections import OrderedDict as O\nO.", {"O": collections.OrderedDict}),
        ("from collections import abc", {"abc": collections.abc}),
        ("def f():\n  s = 'abc'\n  s.upp", {"s": "abc"}),
        ("x = [1]\nfrom pathlib import Path", {"x": [1], "Path": Path}),
        ("x = (", {}),
        ("x = f()\nx.y = 1\nfrom . import y\nfrom no_such import z\nimport no_such", {}),
        ("x = " + "(" * 10_000, {}),
        ("x = 1\0", {}),
    ],
)  # fmt: skip
def test_modules_members_and_literals_are_found(code: str, found: dict[str, object]) -> None:
    assert named_objects(code) == found


@pytest.mark.parametrize(
    "line", ["import", "import ", "from x import y", "import os.pa", "importer", "x = a"]
)
def test_other_lines_name_no_module(line: str) -> None:
    assert imported_names(line) == []


def test_nothing_is_imported() -> None:
    assert "this" not in sys.modules
    assert named_objects("import this\nfrom this import s") == {}
    assert "this" not in sys.modules
