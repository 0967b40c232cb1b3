"""`daytona-kernel demo`: execute a notebook, print its outputs, save it as .ipynb and .html."""

from __future__ import annotations

import re
import sys
import tempfile
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import nbformat
import zmq
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError
from traitlets.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nbformat import NotebookNode

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-ln-z]")
_LONG_TMPDIR = 60


class DemoError(Exception):
    """The notebook cannot be read or executed. The message is for a person."""


def run(notebook: Path, output: Path) -> int:
    """Execute a notebook with the kernel `daytona` and write the results into the directory `output`.

    Returns 0, or 1 if the notebook cannot be read or written, or a cell failed unexpectedly.
    """
    try:
        document = _read(notebook)
        output.mkdir(parents=True, exist_ok=True)
        status = _execute(document)
        _write(document, output / notebook.name)
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise  # of a print
    except OSError as error:
        print(f"The results cannot be written to {output}: {error.strerror or error}.", file=sys.stderr)
        return 1
    return status


def _read(notebook: Path) -> NotebookNode:
    try:
        document: NotebookNode = nbformat.read(notebook, as_version=4)
        nbformat.validate(document)
    except OSError as error:
        raise DemoError(f"{notebook} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # noqa: BLE001  (nbformat raises what it stumbles over)
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DemoError(f"{notebook} is not a notebook: {reason[:200]}") from None
    return document


def _execute(document: NotebookNode) -> int:
    """Execute a notebook and print its outputs as they arrive. Return 1 if a cell failed unexpectedly."""
    terminal = Terminal()

    class PrintingClient(NotebookClient):
        def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
            terminal.show(msg)
            try:
                return super().process_message(msg, cell, cell_index)
            finally:
                # For an Output widget, nbclient sends on the socket on which it waits for the reply. asyncio
                # does not see that, and a reply that has come in between wakes nobody. Reading the events
                # schedules them again.
                assert self.kc is not None
                self.kc.shell_channel.socket.get(zmq.EVENTS)

    try:
        with _connection_file() as connection_file:
            # Unix sockets beside this file, not TCP ports, which other users of this machine can reach.
            sockets = {"transport": "ipc", "connection_file": connection_file}
            PrintingClient(
                document,
                kernel_name="daytona",
                timeout=120,
                on_cell_execute=terminal.show_source,
                config=Config({"KernelManager": sockets}),
            ).execute()
    except NoSuchKernel:
        raise DemoError("Jupyter does not know the kernel. Run: daytona-kernel install") from None
    except CellExecutionError as error:
        print(f"\nA cell failed unexpectedly: {error.ename}: {error.evalue}", file=sys.stderr)
        return 1
    except (CellControlSignal, DeadKernelError, RuntimeError) as error:
        print(f"\nThe notebook was not executed to its end: {error}", file=sys.stderr)
        return 1
    return 0


def _write(document: NotebookNode, executed: Path) -> None:
    nbformat.write(document, executed)
    print(f"\nNotebook with outputs: {executed}")
    try:
        from nbconvert import HTMLExporter
    except ImportError:
        print("To get it as a page too, run: pip install nbconvert")
        return
    page = executed.with_suffix(".html")
    page.write_text(HTMLExporter().from_notebook_node(document)[0], encoding="utf-8")
    print(f"The same as a page:    {page}")


@contextmanager
def _connection_file() -> Iterator[str]:
    """Yield a connection file in its own folder: demos in one folder would take each other's sockets."""
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
        self._number = 0  # of the last cell, as in its prompt and in tracebacks
        self._displays: dict[str, tuple[int, list[str]]] = {}

    def show_source(self, cell: Any, cell_index: int) -> None:
        """Print a cell when it runs. The kernel counts the cells in the same way."""
        del cell_index
        self._number += 1
        print(f"\n[{self._number}] " + textwrap.indent(cell.source, "    ").lstrip(), flush=True)

    def show(self, message: dict[str, Any]) -> None:
        """Print one message of a running cell."""
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            self._print(_without_overwritten(content["text"]))
        elif kind == "error":
            self._print("\n".join(content["traceback"]))
        elif kind in ("display_data", "execute_result"):
            text = _plain(content["data"])
            self._remember(content, text)
            others = sorted(mime for mime in content["data"] if mime != "text/plain")
            self._print(text + (f"\n({', '.join(others)})" if others else ""))
        elif kind == "update_display_data":
            self._show_update(content)

    def _remember(self, content: dict[str, Any], text: str) -> None:
        display_id = content.get("transient", {}).get("display_id")
        if display_id is not None:
            self._displays[display_id] = (self._number, text.splitlines())

    def _show_update(self, content: dict[str, Any]) -> None:
        display_id = content["transient"]["display_id"]
        if display_id not in self._displays:
            return
        number, before = self._displays[display_id]
        now = _plain(content["data"]).splitlines()
        self._displays[display_id] = (number, now)
        for line in now:
            if line not in before:
                self._print(f"[{number}] {line}", "  ┊ ")

    def _print(self, text: str, margin: str = "  │ ") -> None:
        if not text:
            return
        if not sys.stdout.isatty():
            text = _COLOR.sub("", text)
        print(textwrap.indent(text.rstrip("\n"), margin, lambda _line: True), flush=True)


def _without_overwritten(text: str) -> str:
    """Return printed text without what a terminal would overwrite: of a progress bar, only each line's end.

    A text that ends in the middle of a progress bar loses that line, since a later text has its end.
    """
    lines = text.split("\n")
    kept = [_CONTROL.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in lines]
    if "\r" in lines[-1]:
        kept[-1] = ""
    was_control = [bool(line) and not seen.strip() for line, seen in zip(lines, kept, strict=True)]
    return "\n".join(line for line, control in zip(kept, was_control, strict=True) if not control)


def _plain(data: dict[str, Any]) -> str:
    return str(data.get("text/plain", ""))
