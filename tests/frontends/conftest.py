"""Notebooks on disk, Jupyter's commands, and a Jupyter that knows this kernel as `python3`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbformat import NotebookNode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KERNELSPEC = Path(__file__).parent.parent.parent / "kernelspec"
_COMMAND_SECONDS = 100


def make_notebook(cells: Sequence[str], kernel: str = "daytona", **tags: list[str]) -> NotebookNode:
    """Make a notebook with one code cell a source. tags: those of a cell, by `cell0`, `cell1` and so on."""
    made = [
        nbformat.v4.new_code_cell(source, metadata={"tags": tags.get(f"cell{index}", [])})
        for index, source in enumerate(cells)
    ]
    kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
    return nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernelspec})


def texts(cell: NotebookNode) -> str:
    """All that a cell shows as text."""
    shown = []
    for output in cell.outputs:
        if output.output_type == "stream":
            shown.append(output.text)
        elif output.output_type == "error":
            shown.append(f"{output.ename}: {output.evalue}")
        else:
            shown.append(output.data.get("text/plain", ""))
    return "".join(shown)


@pytest.fixture
def run_jupyter(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run one of Jupyter's commands, as it is installed, in the directory of the test."""

    def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name(arguments[0])
        return subprocess.run(
            [program, *arguments[1:]],
            cwd=tmp_path,
            env=own_environment(tmp_path),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )

    return run


def own_environment(directory: Path) -> dict[str, str]:
    """The environment of a Jupyter whose files all lie in a directory."""
    settings = {
        "JUPYTER_CONFIG_DIR": str(directory / "config"),
        "JUPYTER_DATA_DIR": str(directory / "data"),
        "JUPYTER_RUNTIME_DIR": str(directory / "runtime"),
        "IPYTHONDIR": str(directory / "ipython"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return {**os.environ, **settings}


@pytest.fixture
def named_python3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kernel under the name that Jupyter's own suites know. Returns that name."""
    kernels = tmp_path / "jupyter" / "kernels"
    shutil.copytree(KERNELSPEC, kernels / "python3")
    monkeypatch.setenv("JUPYTER_PATH", str(kernels.parent))
    return "python3"
