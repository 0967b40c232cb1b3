"""The packages of a notebook's script block are there before its cells run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel import Daytona
from tests.served import config, served

from .driver import Driver, running_kernel
from .test_settings import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["served"]

FILE = "/tmp/declared-1.0-py3-none-any.whl"  # in the sandbox


def block(*packages: str, python: str = ">=3.8") -> str:
    listed = json.dumps(list(packages))
    return f'# /// script\n# requires-python = "{python}"\n# dependencies = {listed}\n# ///\n'


@pytest.fixture
def places(served: dict[str, str], tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The settings of a kernel in a sandbox that has a wheel of the package `declared`, and of a notebook."""
    with Daytona(config(served)) as daytona:
        sandbox = daytona.create()
        sandbox.fs.upload_file(wheel("declared"), FILE)
        yield {
            **served,
            "DAYTONA_SANDBOX_ID": sandbox.id,
            "JPY_SESSION_NAME": str(tmp_path / "analysis.ipynb"),
        }
        sandbox.delete()


def save(places: dict[str, Any], *sources: str, **metadata: Any) -> None:
    cells = [{"cell_type": "code", "source": each} for each in sources]
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    Path(places["JPY_SESSION_NAME"]).write_text(json.dumps(notebook))


def test_the_block_of_a_cell_is_installed_once_before_it_runs(places: dict[str, Any]) -> None:
    with running_kernel(**places) as kernel:
        assert kernel.run(block(FILE) + "import declared; declared.value").result == "42"
        kernel.run(f"import os; os.remove({FILE!r})")
        # It is there; otherwise the missing file would be an error.
        assert kernel.run(block(FILE) + "declared.value").result == "42"
        kernel.client.stop_channels()
        kernel.manager.restart_kernel()
        kernel.connect()
        assert kernel.run(block(FILE) + "import declared; declared.value").result == "42"


def test_the_block_of_the_file_counts_for_every_cell_and_cells_keep_their_order(
    places: dict[str, Any],
) -> None:
    save(places, block(FILE), "import declared")
    with running_kernel(**places) as kernel:
        cells = kernel.send_together(["import declared; order = [1]", *["order.append(len(order) + 1)"] * 5])
        assert [kernel.collect(each).reply["status"] for each in cells] == ["ok"] * 6
        assert kernel.run("order, declared.value").result == "([1, 2, 3, 4, 5, 6], 42)"
        counts = [kernel.run("0").reply["execution_count"] for _ in range(2)]
        assert counts == [8, 9]


def test_an_installation_shows_its_progress_and_can_be_interrupted(places: dict[str, Any]) -> None:
    with running_kernel(**places) as kernel:
        # pip never gets an answer from this server, which is in the sandbox.
        kernel.run(
            "import socket, os\nserver = socket.create_server(('127.0.0.1', 0))\n"
            "url = f'http://127.0.0.1:{server.getsockname()[1]}/slow-1.0-py3-none-any.whl'"
        )
        url = kernel.run("url").result.strip("'")
        seen: list[str] = []

        def interrupt_when_named(message: dict[str, Any]) -> None:
            text = message["content"].get("data", {}).get("text/plain", "")
            if f"Installing {url}" in text and not seen:
                seen.append(text)
                kernel.manager.interrupt_kernel()

        answer = kernel.run(block(url) + "print('never')", interrupt_when_named)
        assert seen
        assert answer.error["ename"] == "KeyboardInterrupt"
        assert answer.stdout == ""
        assert kernel.run("1 + 1").result == "2"
        assert kernel.run("%sh pgrep -fa 'slow-1[.]0' || echo none").stdout == "none\n"


def test_a_failure_and_a_wrong_python_are_one_sentence_each(places: dict[str, Any]) -> None:
    save(places, block("/tmp/missing.whl"))
    with running_kernel(**places) as kernel:
        first, second = kernel.send_together(["print('never')", "print('never')"])
        error = kernel.collect(first).error
        assert error["ename"] == "SettingError"
        assert "The packages /tmp/missing.whl could not be installed: " in error["evalue"]
        assert "The cell has not run. Change the block" in error["evalue"]
        assert len(error["traceback"]) == 1
        assert kernel.collect(second).reply["status"] == "aborted"
        # The person can go on without it.
        assert kernel.run("1 + 1").result == "2"
        assert "could not be installed" in kernel.run(block("/tmp/missing.whl") + "1").error["evalue"]
        # Another failure: a Python that does not fit.
        error = kernel.run(block(FILE, python=">=3.99") + "print('never')").error
        assert error["ename"] == "SettingError"
        assert error["evalue"].startswith("The notebook needs Python >=3.99, and the sandbox has 3.")
        assert "Nothing was installed, and the cell has not run." in error["evalue"]
        assert (
            kernel.run("import importlib.util as u; u.find_spec('declared')").contents("execute_result") == []
        )


def test_a_new_sandbox_gets_the_packages_of_cells_again(served: dict[str, str]) -> None:
    with running_kernel(**served) as kernel:
        assert give_packages(kernel) == "42"
        kernel.run("%sandbox new")
        upload = f"import pathlib; pathlib.Path({FILE!r}).write_bytes(b'not a wheel')"
        error = kernel.run(upload).error  # the block's file is not there yet
        assert f"{FILE} could not be installed" in error["evalue"]
        assert give_packages(kernel) == "42"


def give_packages(kernel: Driver) -> str:
    kernel.run(f"import pathlib; pathlib.Path({FILE!r}).write_bytes({wheel('declared')!r})")
    return kernel.run(block(FILE) + "import declared; declared.value").result
