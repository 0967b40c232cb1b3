"""papermill: parameters, progress, and notebooks that fail."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import nbformat
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from .conftest import make_notebook, texts

if TYPE_CHECKING:
    from pathlib import Path

Run = Callable[..., subprocess.CompletedProcess[str]]

_PARAMETERS = "n = 1\nword = 'none'"


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "in.ipynb"
    nbformat.write(make_notebook([_PARAMETERS, "print(word * n)"], cell0=["parameters"]), path)
    return path


def test_parameters_are_injected_by_the_command(notebook: Path, run_jupyter: Run, tmp_path: Path) -> None:
    options = ["--log-output", "--progress-bar"]
    done = run_jupyter("papermill", "in.ipynb", "out.ipynb", "-p", "n", "3", "-p", "word", "é!", *options)
    assert done.returncode == 0, done.stderr
    assert "Executing: 100%" in done.stderr
    assert "é!é!é!" in done.stdout + done.stderr
    out = nbformat.read(tmp_path / "out.ipynb", 4)
    defaults, injected, shown = out.cells
    assert (defaults.source, injected.metadata.tags) == (_PARAMETERS, ["injected-parameters"])
    assert texts(shown) == "é!é!é!\n"
    assert out.metadata.papermill.exception is None
    assert {cell.metadata.papermill.status for cell in out.cells} == {"completed"}


def test_parameters_of_every_type(tmp_path: Path) -> None:
    parameters: dict[str, Any] = {
        "a": None, "b": True, "c": 1.5, "d": [1, "x"], "e": {"k": [None]}, "f": 'q"uote\n', "g": float("inf")
    }  # fmt: skip
    notebook = make_notebook(["a = b = c = d = e = f = g = 0", "[a, b, c, d, e, f, g]"], cell0=["parameters"])
    nbformat.write(notebook, tmp_path / "in.ipynb")
    out = papermill.execute_notebook(
        str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb"), parameters, progress_bar=False
    )
    assert texts(out.cells[-1]) == repr(list(parameters.values()))


def test_parameters_are_inspected(notebook: Path, run_jupyter: Run) -> None:
    assert papermill.inspect_notebook(str(notebook))["n"]["default"] == "1"
    done = run_jupyter("papermill", "in.ipynb", "--help-notebook")
    assert "word: Unknown type (default 'none')" in done.stdout, done.stderr


def test_a_notebook_that_fails_is_saved_with_its_error(run_jupyter: Run, tmp_path: Path) -> None:
    nbformat.write(make_notebook(["'before'", "1 / 0", "'never'"]), tmp_path / "in.ipynb")
    done = run_jupyter("papermill", "in.ipynb", "out.ipynb", "--no-progress-bar")
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stderr
    cells = nbformat.read(tmp_path / "out.ipynb", 4).cells
    # papermill adds a cell with the message at the top, and one with a link before the failed cell.
    assert "An Exception was encountered at" in cells[0].source
    by_source = {cell.source: cell for cell in cells}
    assert texts(by_source["'before'"]) == "'before'"
    assert by_source["1 / 0"].outputs[0].ename == "ZeroDivisionError"
    assert by_source["1 / 0"].metadata.papermill.status == "failed"
    assert by_source["'never'"].metadata.papermill.status == "pending"
    assert by_source["'never'"].outputs == []


def test_papermill_runs_the_kernel_as_python3(named_python3: str, tmp_path: Path) -> None:
    path = str(tmp_path / "in.ipynb")
    cells = ["import os", "'DAYTONA_SANDBOX_ID' in os.environ", "raise SystemExit(3)"]
    nbformat.write(make_notebook(cells, named_python3), path)
    with pytest.raises(PapermillExecutionError, match="SystemExit: 3"):
        papermill.execute_notebook(path, str(tmp_path / "out.ipynb"), progress_bar=False)
    out = nbformat.read(tmp_path / "out.ipynb", 4)
    assert [texts(cell) for cell in out.cells if "DAYTONA" in cell.source] == ["True"]


def test_papermill_ends_a_cell_at_its_timeout(tmp_path: Path) -> None:
    path = str(tmp_path / "in.ipynb")
    nbformat.write(make_notebook(["print('started', flush=True)\nimport time; time.sleep(300)"]), path)
    with pytest.raises(Exception, match="timed out"):
        papermill.execute_notebook(path, str(tmp_path / "out.ipynb"), execution_timeout=6, progress_bar=False)
    (cell,) = [c for c in nbformat.read(tmp_path / "out.ipynb", 4).cells if "started" in c.source]
    assert texts(cell) == "started\n"


def test_the_output_is_saved_after_each_cell(tmp_path: Path) -> None:
    path, out = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    nbformat.write(make_notebook(["'first'", "raise KeyboardInterrupt"]), path)
    with pytest.raises(PapermillExecutionError, match="KeyboardInterrupt"):
        papermill.execute_notebook(str(path), str(out), progress_bar=False, request_save_on_cell_execute=True)
    saved = json.loads(out.read_text())
    assert any(cell["source"] == ["'first'"] or cell["source"] == "'first'" for cell in saved["cells"])
