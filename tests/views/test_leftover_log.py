"""Leftover logs are found in the file of a notebook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel.views import WIDGET_MIME_TYPE
from daytona_kernel.views.leftover_log import MARK, LeftoverLog, read_leftover_logs

if TYPE_CHECKING:
    from pathlib import Path


def output(**more: Any) -> dict[str, Any]:
    return {
        "output_type": "display_data",
        "metadata": {MARK: {"command": "make", "session": "s"}},
        "data": {WIDGET_MIME_TYPE: {"model_id": "m1"}, "text/html": ["<p>", "log"], "text/plain": "log"},
        **more,
    }


def write(path: Path, *outputs: dict[str, Any]) -> Path:
    cells = [{"cell_type": "markdown", "source": "x"}, {"cell_type": "code", "outputs": list(outputs)}]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    return path


def test_views_are_found_by_their_mark(tmp_path: Path) -> None:
    users = {"output_type": "display_data", "metadata": {}, "data": {WIDGET_MIME_TYPE: {"model_id": "w"}}}
    final = output(data={"text/html": "<p>"})
    stream = {"output_type": "stream", "name": "stdout", "text": MARK}
    path = write(tmp_path / "n.ipynb", users, output(), final, stream)
    bundle = {"text/html": "<p>log", "text/plain": "log"}
    assert read_leftover_logs(path) == [LeftoverLog("m1", "make", "s", bundle)]


@pytest.mark.parametrize("text", ["", "no notebook", f'"{MARK}"', f'["{MARK}"]', f'{{"cells": ["{MARK}"]}}'])
def test_a_file_that_is_not_a_notebook_has_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(text)
    assert read_leftover_logs(path) == []


def test_a_missing_file_has_none(tmp_path: Path) -> None:
    for path in (tmp_path / "none.ipynb", tmp_path, ""):
        assert read_leftover_logs(path) == []
