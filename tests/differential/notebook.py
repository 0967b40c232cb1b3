"""The notebooks that both kernels execute, each a file of cells that reads as a program.

`notebooks/GROUP/NAME.ipy` is IPython's Python, cut into cells by lines that begin with `# %%`; the rest
of such a line is the cell's tags. The notebooks of a group share a kernel, so what they import is
imported once, and one that changes the kernel for good has a group of its own.

    python -m tests.differential.notebook DIRECTORY

writes them as `.ipynb` files, to be looked at in JupyterLab.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import nbformat
from nbformat import NotebookNode

SOURCES = Path(__file__).parent / "notebooks"
_MARK = "# %%"


@dataclass(frozen=True)
class Source:
    """One notebook as it is written here."""

    path: Path

    @property
    def group(self) -> str:
        """The notebooks with the same group run in one kernel."""
        return self.path.parent.name

    @property
    def name(self) -> str:
        """Group and name: what a failing test and a listed difference call it."""
        return f"{self.group}/{self.path.stem}"

    def notebook(self, kernel: str = "python3") -> NotebookNode:
        """Make the notebook, not yet executed."""
        cells = []
        for tags, source in _cells(self.path.read_text()):
            cell = nbformat.v4.new_code_cell(source, metadata={"tags": tags} if tags else {})
            # Ids are random; two executions of one notebook must begin alike.
            cell["id"] = f"cell-{len(cells)}"
            cells.append(cell)
        kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
        return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec})


def sources() -> list[Source]:
    """All of them, those of a group together."""
    return [Source(path) for path in sorted(SOURCES.glob("*/*.ipy"))]


def groups() -> dict[str, list[Source]]:
    """The notebooks by group."""
    return {group: list(members) for group, members in groupby(sources(), lambda source: source.group)}


def _cells(text: str) -> list[tuple[list[str], str]]:
    """The tags and the source of each cell. What stands before the first mark is about the notebook."""
    cells: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith(_MARK):
            cells.append((line.removeprefix(_MARK).split(), []))
        elif cells:
            cells[-1][1].append(line)
    return [(tags, "\n".join(lines).strip("\n")) for tags, lines in cells]


def write_notebooks(directory: Path) -> None:
    """Write all of them into a directory, a folder for each group."""
    for source in sources():
        target = directory / f"{source.name}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(source.notebook(), target)


if __name__ == "__main__":
    write_notebooks(Path(sys.argv[1]))
