"""A notebook executed through the kernel, shown in a terminal as it goes, and kept as .ipynb and .html."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from typing import Any

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def run(notebook: Path, output: Path) -> int:
    """Execute a notebook with the kernel `daytona`; write the result and a page of it below `output`.

    Returns 0, or 1 when a cell failed that was not meant to, or a package is missing.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
        from nbconvert import HTMLExporter
        from traitlets.config import Config
    except ImportError as error:
        print(f"The demo needs {error.name}: pip install 'daytona-kernel[demo]'", file=sys.stderr)
        return 1

    document = nbformat.read(notebook, as_version=4)
    shown: dict[int, str] = {}

    def print_outputs(cell: Any, cell_index: int, execute_reply: Any) -> None:
        del execute_reply
        shown[cell_index] = _outputs(cell)
        print(shown[cell_index], end="", flush=True)

    client = NotebookClient(
        document,
        kernel_name="daytona",
        timeout=120,
        on_cell_execute=_print_source,
        on_cell_executed=print_outputs,
        # Sockets of this user's only, in the place of TCP ports that others can reach.
        config=Config({"KernelManager": {"transport": "ipc"}}),
    )
    status = 0
    try:
        client.execute()
    except CellExecutionError as error:
        print(f"\nA cell failed that was not meant to: {error.ename}: {error.evalue}", file=sys.stderr)
        status = 1
    for index, text in shown.items():
        if (now := _outputs(document.cells[index])) != text:
            print(f"\n[{index}] has changed since it ran:\n{now}", end="")
    output.mkdir(parents=True, exist_ok=True)
    executed = output / notebook.name
    page = executed.with_suffix(".html")
    nbformat.write(document, executed)
    page.write_text(HTMLExporter().from_notebook_node(document)[0], encoding="utf-8")
    print(f"\nExecuted notebook: {executed}\nAs a page:         {page}")
    return status


def _print_source(cell: Any, cell_index: int) -> None:
    if cell.cell_type == "code":
        print(f"\n[{cell_index}] " + textwrap.indent(cell.source, "    ").lstrip(), flush=True)


def _outputs(cell: Any) -> str:
    texts = [_text(output).rstrip("\n") for output in cell.outputs]
    return "".join(textwrap.indent(text, "  │ ", lambda _line: True) + "\n" for text in texts)


def _text(output: Any) -> str:
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        text = "\n".join(output.traceback)
        return text if sys.stdout.isatty() else _ANSI.sub("", text)
    text = str(output.data.get("text/plain", ""))
    others = sorted(kind for kind in output.data if kind != "text/plain")
    return text + (f"\n({', '.join(others)})" if others else "")
