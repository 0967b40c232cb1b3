"""Notebooks, Jupyter's commands, and a kernelspec that names this kernel `python3`."""

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
    from collections.abc import Callable, Iterator, Sequence

KERNELSPEC = Path(__file__).parent.parent.parent / "kernelspec"
_COMMAND_SECONDS = 100


def make_notebook(cells: Sequence[str], kernel: str = "daytona", **tags: list[str]) -> NotebookNode:
    """Return a notebook with a code cell for each source. tags: a cell's tags, as `cell0`, `cell1`, …."""
    code_cells = [
        nbformat.v4.new_code_cell(source, metadata={"tags": tags.get(f"cell{index}", [])})
        for index, source in enumerate(cells)
    ]
    kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
    notebook: NotebookNode = nbformat.v4.new_notebook(cells=code_cells, metadata={"kernelspec": kernelspec})
    return notebook


def texts(cell: NotebookNode) -> str:
    """Return all outputs of a cell as text."""
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
    """Return a function that runs one of Jupyter's installed commands in the directory of the test."""

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
    """Return the environment of a Jupyter that keeps all its files in a directory."""
    settings = {
        "JUPYTER_CONFIG_DIR": str(directory / "config"),
        "JUPYTER_DATA_DIR": str(directory / "data"),
        "JUPYTER_RUNTIME_DIR": str(directory / "runtime"),
        "IPYTHONDIR": str(directory / "ipython"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return {**os.environ, **settings}


@pytest.fixture(scope="module")
def named_python3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Install this kernel under the name that programs use for ipykernel, and yield that name."""
    kernels = tmp_path_factory.mktemp("jupyter") / "kernels"
    shutil.copytree(KERNELSPEC, kernels / "python3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(kernels.parent))
        yield "python3"
