"""`daytona-kernel demo`: execute a notebook, print its outputs, save it as .ipynb and .html."""

from __future__ import annotations

import re
import sys
import tempfile
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LONG_TMPDIR = 60


def run(notebook: Path, output: Path) -> int:
    """Execute a notebook with the kernel `daytona` and write the results into the directory `output`.

    Returns 0, or 1 if a cell failed unexpectedly or a package is missing.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
        from nbconvert import HTMLExporter
        from traitlets.config import Config
    except ImportError as error:
        print(f"The demo needs {error.name}. Run: pip install 'daytona-kernel[demo]'", file=sys.stderr)
        return 1

    terminal = Terminal()

    class PrintingClient(NotebookClient):
        def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
            terminal.show(msg, cell_index)
            return super().process_message(msg, cell, cell_index)

    document = nbformat.read(notebook, as_version=4)
    status = 0
    with _connection_file() as connection_file:
        client = PrintingClient(
            document,
            kernel_name="daytona",
            timeout=120,
            on_cell_execute=terminal.show_source,
            # Unix sockets beside this file, not TCP ports, which other users of this machine can reach.
            config=Config({"KernelManager": {"transport": "ipc", "connection_file": connection_file}}),
        )
        try:
            client.execute()
        except CellExecutionError as error:
            print(f"\nA cell failed unexpectedly: {error.ename}: {error.evalue}", file=sys.stderr)
            status = 1
    output.mkdir(parents=True, exist_ok=True)
    executed = output / notebook.name
    page = executed.with_suffix(".html")
    nbformat.write(document, executed)
    page.write_text(HTMLExporter().from_notebook_node(document)[0], encoding="utf-8")
    print(f"\nNotebook with outputs: {executed}\nThe same as a page:    {page}")
    return status


@contextmanager
def _connection_file() -> Iterator[str]:
    """Yield a connection file in a folder of its own: demos in one folder would take each other's sockets."""
    # The path of a unix socket has at most 107 bytes, and TMPDIR may be longer.
    parent = tempfile.gettempdir() if len(tempfile.gettempdir()) < _LONG_TMPDIR else "/tmp"  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="daytona-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield f"{folder}/kernel.json"


class Terminal:
    """A printer of a notebook's outputs as they arrive.

    If a display changes later, as a live log does, only its new lines are printed, with the number of
    its cell.
    """

    def __init__(self) -> None:
        self._displays: dict[str, tuple[int, list[str]]] = {}

    def show_source(self, cell: Any, cell_index: int) -> None:
        """Print a cell before it runs."""
        if cell.cell_type == "code":
            print(f"\n[{cell_index}] " + textwrap.indent(cell.source, "    ").lstrip(), flush=True)

    def show(self, message: dict[str, Any], cell_index: int) -> None:
        """Print one message of a running cell."""
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            self._print(content["text"])
        elif kind == "error":
            self._print("\n".join(content["traceback"]))
        elif kind in ("display_data", "execute_result"):
            text = _plain(content["data"])
            self._remember(content, cell_index, text)
            others = sorted(mime for mime in content["data"] if mime != "text/plain")
            self._print(text + (f"\n({', '.join(others)})" if others else ""))
        elif kind == "update_display_data":
            self._show_update(content)

    def _remember(self, content: dict[str, Any], cell_index: int, text: str) -> None:
        display_id = content.get("transient", {}).get("display_id")
        if display_id is not None:
            self._displays[display_id] = (cell_index, text.splitlines())

    def _show_update(self, content: dict[str, Any]) -> None:
        display_id = content["transient"]["display_id"]
        if display_id not in self._displays:
            return
        cell_index, before = self._displays[display_id]
        now = _plain(content["data"]).splitlines()
        self._displays[display_id] = (cell_index, now)
        for line in now:
            if line not in before:
                self._print(f"[{cell_index}] {line}", "  ┊ ")

    def _print(self, text: str, margin: str = "  │ ") -> None:
        if not sys.stdout.isatty():
            text = _ANSI.sub("", text)
        print(textwrap.indent(text.rstrip("\n"), margin, lambda _line: True), flush=True)


def _plain(data: dict[str, Any]) -> str:
    return str(data.get("text/plain", ""))
