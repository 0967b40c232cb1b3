"""The notebooks that both kernels execute, each written as a file that reads like a program.

`notebooks/GROUP/NAME.ipy` is Python for IPython. Lines that start with `# %%` separate the cells; the rest
of such a line contains the cell's tags. The notebooks of several groups share a kernel, so that kernels
start and imports run once.

    python -m tests.differential.notebook DIRECTORY

writes the notebooks as `.ipynb` files for JupyterLab.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

SOURCES = Path(__file__).parent / "notebooks"
_MARK = "# %%"
# The groups that share a kernel, in the order in which they run. The history must be the kernel's first.
_SHARED = (
    ("history", "magics", "errors", "execution", "output"),
    ("rich", "figures", "libraries", "widgets"),
)
_ORDER = [group for groups in _SHARED for group in groups]


@dataclass(frozen=True)
class Source:
    """A notebook as a source file."""

    path: Path

    @property
    def group(self) -> str:
        """The group: the name of the folder."""
        return self.path.parent.name

    @property
    def kernel(self) -> str:
        """The name of the kernel that the notebook shares: its first group."""
        return next(groups[0] for groups in _SHARED if self.group in groups)

    @property
    def name(self) -> str:
        """The group and the name, as in the names of tests and in the list of differences."""
        return f"{self.group}/{self.path.stem}"

    def notebook(self, kernel: str = "python3") -> NotebookNode:
        """Return the notebook, without outputs."""
        cells: list[NotebookNode] = []
        for tags, source in _cells(self.path.read_text()):
            cell = nbformat.v4.new_code_cell(source, metadata={"tags": tags} if tags else {})
            # Ids are random, and both kernels must get the same notebook.
            cell["id"] = f"cell-{len(cells)}"
            cells.append(cell)
        kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
        notebook: NotebookNode = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec})
        return notebook


def sources() -> list[Source]:
    """Return all notebooks in the order in which they run."""
    found = [Source(path) for path in SOURCES.glob("*/*.ipy")]
    return sorted(found, key=lambda source: (_ORDER.index(source.group), source.path))


def _cells(text: str) -> list[tuple[list[str], str]]:
    """Return the tags and the source of each cell. The lines before the first mark describe the notebook."""
    cells: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith(_MARK):
            cells.append((line.removeprefix(_MARK).split(), []))
        elif cells:
            cells[-1][1].append(line)
    return [(tags, "\n".join(lines).strip("\n")) for tags, lines in cells]


def write_notebooks(directory: Path) -> None:
    """Write all notebooks into a directory, with a folder for each group."""
    for source in sources():
        target = directory / f"{source.name}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(source.notebook(), target)


if __name__ == "__main__":
    write_notebooks(Path(sys.argv[1]))
