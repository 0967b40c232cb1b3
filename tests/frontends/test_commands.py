"""Jupyter's own commands: nbconvert, execute, run and console."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pexpect
import pytest

from .conftest import make_notebook, own_environment, texts

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_nbconvert_executes_into_a_notebook_although_a_cell_fails(run_jupyter: Run, tmp_path: Path) -> None:
    cells = ["x = 6", "print(x * 7)", "%sh echo from the sandbox", "1 / 0", "'after'"]
    nbformat.write(make_notebook(cells), tmp_path / "n.ipynb")
    options = ["--allow-errors", "--to", "notebook", "--output", "out"]
    done = run_jupyter("jupyter-nbconvert", "--execute", *options, "n.ipynb")
    assert done.returncode == 0, done.stderr
    cells = nbformat.read(tmp_path / "out.ipynb", 4).cells
    assert [texts(cell) for cell in cells[:3]] == ["", "42\n", "from the sandbox\n"]
    assert (cells[3].outputs[0].ename, texts(cells[4])) == ("ZeroDivisionError", "'after'")


def test_nbconvert_fails_with_the_error_of_a_cell(run_jupyter: Run, tmp_path: Path) -> None:
    nbformat.write(make_notebook(["1 / 0", "'after'"]), tmp_path / "n.ipynb")
    done = run_jupyter("jupyter-nbconvert", "--execute", "--to", "notebook", "--output", "out", "n.ipynb")
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stderr
    assert not (tmp_path / "out.ipynb").exists()


def test_jupyter_execute_writes_the_notebook(run_jupyter: Run, tmp_path: Path) -> None:
    nbformat.write(make_notebook(["1 + 1"], kernel="none"), tmp_path / "n.ipynb")
    done = run_jupyter("jupyter-execute", "--kernel_name=daytona", "--inplace", "n.ipynb")
    assert done.returncode == 0, done.stderr
    assert texts(nbformat.read(tmp_path / "n.ipynb", 4).cells[0]) == "2"


def test_jupyter_run_prints_the_output_of_a_file_or_of_stdin(run_jupyter: Run, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7\n")
    done = run_jupyter("jupyter-run", "--kernel", "daytona", "script.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["out", "42"]
    assert "err" in done.stderr
    failed = run_jupyter(
        "jupyter-run", "--kernel", "daytona", stdin="print('started')\nraise KeyError('k')\n"
    )
    assert failed.returncode != 0
    assert "started" in failed.stdout
    assert "KeyError" in failed.stdout + failed.stderr


class Console:
    """A `jupyter console` in a terminal."""

    def __init__(self, directory: Path) -> None:
        program = str(Path(sys.executable).with_name("jupyter-console"))
        arguments = ["--kernel", "daytona", "--simple-prompt", "--ZMQTerminalInteractiveShell.banner="]
        self._child = pexpect.spawn(
            program,
            arguments,
            cwd=str(directory),
            env={**own_environment(directory), "TERM": "dumb", "NO_COLOR": "1"},
            encoding="utf-8",
            timeout=60,
            echo=False,
            dimensions=(50, 200),
        )
        self.wait_for("In [1]: ")

    def type_line(self, line: str) -> None:
        self._child.sendline(line)

    def wait_for(self, text: str) -> str:
        """Wait for a text, and return the text before it."""
        self._child.expect_exact(text)
        return str(self._child.before)

    def interrupt(self) -> None:
        self._child.sendintr()

    def wait_until_it_ends(self) -> None:
        self._child.expect(pexpect.EOF)
        self._child.wait()

    def close(self) -> None:
        self._child.close(force=True)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    console = Console(tmp_path)
    yield console
    console.close()


def test_a_console_shows_results_errors_and_help(console: Console) -> None:
    console.type_line("6 * 7")
    console.wait_for("Out[1]: 42")
    console.wait_for("In [2]: ")
    console.type_line("1 / 0")
    # The name of the exception is colored.
    console.wait_for(": division by zero")
    console.wait_for("In [3]: ")
    console.type_line("%sh echo from the sandbox")
    console.wait_for("from the sandbox")
    console.wait_for("In [4]: ")
    console.type_line("'name: ' + input('who? ')")
    console.wait_for("who? ")
    console.type_line("Ada")
    console.wait_for("Out[4]: 'name: Ada'")
    console.wait_for("In [5]: ")
    console.type_line("exit")
    console.wait_until_it_ends()


def test_a_console_interrupts_its_cell(console: Console) -> None:
    console.type_line("kept = 5")
    console.wait_for("In [2]: ")
    console.type_line("print('star' + 'ted', flush=True); import time; time.sleep(300)")
    console.wait_for("started")
    console.interrupt()
    console.wait_for("KeyboardInterrupt")
    console.wait_for("In [3]: ")
    console.type_line("kept + 1")
    console.wait_for("Out[3]: 6")
