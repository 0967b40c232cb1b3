"""nbclient with this kernel in place of `python3`, without special cases.

Most notebooks run one after another in one kernel, as nbclient does it for a given kernel manager.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from .conftest import make_notebook, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

_SECONDS = 60


def client_of(cells: list[str], kernel: str, **options: Any) -> NotebookClient:
    tags = {name: options.pop(name) for name in list(options) if name.startswith("cell")}
    return NotebookClient(make_notebook(cells, kernel, **tags), **{"timeout": _SECONDS, **options})


@pytest.fixture(scope="module")
def manager(named_python3: str) -> Iterator[AsyncKernelManager]:
    """A kernel that runs."""
    manager = AsyncKernelManager(kernel_name=named_python3)
    run_sync(manager.start_kernel)()
    yield manager
    run_sync(manager.shutdown_kernel)()


def execute(cells: list[str], manager: AsyncKernelManager, **options: Any) -> NotebookNode:
    """Execute a notebook in a kernel that runs, and leave the kernel running."""
    return run(client_of(cells, manager.kernel_name, km=manager, **options))


def run(client: NotebookClient) -> NotebookNode:
    """Execute the notebook of a client whose kernel runs already."""
    try:
        return client.execute()
    finally:
        assert client.kc is not None
        client.kc.stop_channels()


def test_the_kernel_can_replace_python3(named_python3: str) -> None:
    cells = ["import os; 'DAYTONA_SANDBOX_ID' in os.environ", "1 + 1"]
    notebook = client_of(cells, named_python3).execute()
    assert [texts(cell) for cell in notebook.cells] == ["True", "2"]
    assert [cell.execution_count for cell in notebook.cells] == [1, 2]
    assert notebook.metadata.language_info.name == "python"


def test_a_cell_that_fails_raises_and_leaves_its_error(manager: AsyncKernelManager) -> None:
    cells = ["x = 1", "1 / 0", "print('never')"]
    client = client_of(cells, manager.kernel_name, km=manager)
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        run(client)
    _, failed, after = client.nb.cells
    assert failed.outputs[0].ename == "ZeroDivisionError"
    assert after.outputs == []


def test_errors_can_be_allowed_everywhere_or_by_name(manager: AsyncKernelManager) -> None:
    cells = ["1 / 0", "'after'"]
    assert texts(execute(cells, manager, allow_errors=True).cells[1]) == "'after'"
    assert texts(execute(cells, manager, allow_error_names=["ZeroDivisionError"]).cells[1]) == "'after'"


def test_the_tags_of_cells_are_respected(manager: AsyncKernelManager) -> None:
    cells = ["1 / 0", "print('skipped')", "'after'"]
    notebook = execute(cells, manager, cell0=["raises-exception"], cell1=["skip-execution"])
    failed, skipped, after = notebook.cells
    assert failed.outputs[0].ename == "ZeroDivisionError"
    assert (skipped.outputs, skipped.execution_count) == ([], None)
    assert texts(after) == "'after'"
    with pytest.raises(CellExecutionError):
        execute(cells, manager, cell0=["raises-exception"], force_raise_errors=True)


def test_a_timeout_ends_the_notebook(named_python3: str) -> None:
    with pytest.raises(CellTimeoutError, match="timed out"):
        client_of(["1", "import time; time.sleep(300)"], named_python3, timeout=3).execute()


def test_a_timeout_can_interrupt_the_cell_and_continue(manager: AsyncKernelManager) -> None:
    cells = ["kept = 1", "import time\ntime.sleep(300)", "kept"]
    notebook = execute(cells, manager, timeout=3, interrupt_on_timeout=True, allow_errors=True)
    _, interrupted, after = notebook.cells
    assert interrupted.outputs[0].ename == "KeyboardInterrupt"
    assert texts(after) == "1"


def test_a_timeout_can_depend_on_the_cell(manager: AsyncKernelManager) -> None:
    notebook = execute(
        ["'fast'", "import time\nwhile True: time.sleep(0.01)", "'after'"],
        manager,
        timeout_func=lambda cell: 1 if "while" in cell.source else _SECONDS,
        interrupt_on_timeout=True,
        allow_errors=True,
    )
    assert [texts(cell) for cell in notebook.cells] == ["'fast'", "KeyboardInterrupt: ", "'after'"]


def test_a_kernel_that_dies_is_noticed(named_python3: str) -> None:
    def kill(cell: NotebookNode, cell_index: int) -> None:
        if cell_index == 1:
            assert client.km is not None
            os.kill(client.km.provisioner.pid, signal.SIGKILL)

    client = client_of(["1", "import time; time.sleep(300)"], named_python3, on_cell_complete=kill)
    with pytest.raises(DeadKernelError):
        client.execute()


def test_a_cell_that_kills_its_interpreter_fails_and_the_next_cell_has_a_new_one(
    manager: AsyncKernelManager,
) -> None:
    cells = ["x = 1", "import os; os._exit(3)", "'x' in globals()"]
    with pytest.raises(CellExecutionError, match="InterpreterDiedError"):
        execute(cells, manager)
    notebook = execute(cells, manager, allow_errors=True)
    assert texts(notebook.cells[2]) == "False"


def test_the_state_of_widgets_is_saved(manager: AsyncKernelManager) -> None:
    cells = ["import ipywidgets\ns = ipywidgets.IntSlider(value=3)\ns", "s.value = 9"]
    notebook = execute(cells, manager)
    states = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    view = notebook.cells[0].outputs[0].data["application/vnd.jupyter.widget-view+json"]
    assert states[view["model_id"]]["state"]["value"] == 9
    assert {state["model_name"] for state in states.values()} == {
        "IntSliderModel",
        "LayoutModel",
        "SliderStyleModel",
    }
    without = execute(cells, manager, store_widget_state=False)
    assert "widgets" not in without.metadata


def test_displays_are_updated_in_place(manager: AsyncKernelManager) -> None:
    cells = [
        "handle = display('first', display_id='place')",
        "display('second', display_id='place');",
        "handle.update('third')",
        "from IPython.display import clear_output\nprint('a'); clear_output(wait=True); print('b')",
    ]
    shown = [texts(cell) for cell in execute(cells, manager).cells]
    assert shown == ["'third'", "'third'", "", "b\n"]


def test_streams_are_coalesced(manager: AsyncKernelManager) -> None:
    code = (
        "import sys\nfor n in range(3):\n"
        "    print(n, flush=True); print('e', file=sys.stderr, flush=True)\n"
        "print('10%\\r20%', flush=True)"
    )
    (cell,) = execute([code], manager, coalesce_streams=True).cells
    assert [(o.name, o.text) for o in cell.outputs] == [("stdout", "0\n1\n2\n20%\n"), ("stderr", "e\n" * 3)]


def test_timing_is_recorded(manager: AsyncKernelManager) -> None:
    (cell,) = execute(["1"], manager, record_timing=True).cells
    assert set(cell.metadata.execution) == {
        "iopub.status.busy",
        "iopub.execute_input",
        "iopub.status.idle",
        "shell.execute_reply",
    }


def test_input_is_refused(manager: AsyncKernelManager) -> None:
    with pytest.raises(CellExecutionError, match="StdinNotImplementedError"):
        execute(["input('name')"], manager)


def test_hooks_are_called_in_order(manager: AsyncKernelManager) -> None:
    called: list[str] = []

    def hook(name: str) -> Any:
        return lambda **_: called.append(name)

    names = [
        "on_notebook_start",
        "on_cell_start",
        "on_cell_execute",
        "on_cell_complete",
        "on_cell_executed",
        "on_cell_error",
        "on_notebook_complete",
    ]
    execute(["1", "1 / 0"], manager, allow_errors=True, **{name: hook(name) for name in names})
    cell = ["on_cell_start", "on_cell_execute", "on_cell_complete", "on_cell_executed"]
    assert called == ["on_notebook_start", *cell, *cell, "on_cell_error", "on_notebook_complete"]


def test_cells_can_be_executed_one_at_a_time_in_one_kernel(named_python3: str) -> None:
    client = client_of(["x = 5", "x * 2"], named_python3)
    with client.setup_kernel():
        for index, cell in enumerate(client.nb.cells):
            client.execute_cell(cell, index)
        assert texts(client.execute_cell(client.nb.cells[1], 1)) == "10"
    assert client.km is None
