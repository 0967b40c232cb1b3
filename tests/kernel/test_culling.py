"""Jupyter's idle culler leaves a kernel alone while a cell runs, whatever other requests come."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser import new_page
from tests.lab_server import run_lab_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext

    from tests.browser import NotebookPage
    from tests.lab_server import LabServer

# A page on a busy machine takes some seconds to run its first cell.
IDLE_SECONDS = 10
CELL_SECONDS = 2.5 * IDLE_SECONDS
# The test ends the cell: nobody knows how long its steps take on a busy machine.
CELL = "import time\ntry: time.sleep(600)\nexcept KeyboardInterrupt: print('done')"


@pytest.fixture
def culling_server(tmp_path: Path) -> Iterator[LabServer]:
    options = (f"cull_idle_timeout={IDLE_SECONDS}", "cull_interval=1", "cull_connected=True")
    arguments = [f"--MappingKernelManager.{option}" for option in options]
    with run_lab_server(tmp_path, options=arguments) as server:
        yield server


def kernels(server: LabServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.request("kernels")
    return found


def expect_busy(notebook: NotebookPage) -> None:
    """Check the circle, the status bar, and the server's list of kernels."""
    indicator = notebook.panel.locator(".jp-Notebook-ExecutionIndicator")
    expect(indicator).to_have_attribute("data-status", "busy")
    expect(notebook.page.locator("#jp-main-statusbar")).to_contain_text("| Busy")
    expect_listed(notebook.lab.server, "busy")


def expect_listed(server: LabServer, state: str, seconds: float = 2) -> None:
    """Check the server's list of kernels.

    The server learns of a state a moment after the page. Beside a cell, the `idle` of another request counts
    until the server has read the `busy` that follows it.
    """
    deadline = time.monotonic() + seconds
    while (states := [kernel["execution_state"] for kernel in kernels(server)]) != [state]:
        assert states, "the kernel was culled"
        assert time.monotonic() < deadline, f"the server lists {states}, and not {state}"
        time.sleep(0.02)


def test_a_quiet_cell_is_not_culled(culling_server: LabServer, browser: BrowserContext) -> None:
    with new_page(culling_server, browser) as lab:
        notebook = lab.open_notebook("quiet.ipynb", [CELL, "impor", "print"], kernel="daytona")
        started = time.monotonic()
        notebook.start(0)
        expect(notebook.cell(0).locator(".jp-InputPrompt")).to_have_text("[*]:")
        expect_busy(notebook)
        notebook.editor(1).click()
        lab.page.keyboard.press("End")
        # JupyterLab drops an answer that takes more than a second.
        completer = lab.page.locator(".jp-Completer")
        while "import" not in (completer.text_content() or ""):
            assert time.monotonic() - started < CELL_SECONDS - 5, "no completion was shown"
            lab.page.keyboard.press("Tab")
            lab.page.wait_for_timeout(1500)
        lab.page.keyboard.press("Escape")
        expect_busy(notebook)
        notebook.editor(2).click()
        lab.page.keyboard.press("End")
        lab.page.keyboard.press("Shift+Tab")
        expect(lab.page.locator(".jp-Tooltip")).to_contain_text("Prints the values")
        expect_busy(notebook)
        notebook.save()
        lab.load(notebook.name)
        notebook.show()
        expect(notebook.panel.locator(".jp-Notebook-ExecutionIndicator")).to_be_visible()
        expect_busy(notebook)
        while time.monotonic() - started < CELL_SECONDS:
            assert [kernel["execution_state"] for kernel in kernels(culling_server)] == ["busy"]
            lab.page.wait_for_timeout(200)
        notebook.interrupt_kernel()
        expect(notebook.page.locator("#jp-main-statusbar")).to_contain_text(re.compile("Idle"))
        expect_listed(culling_server, "idle", IDLE_SECONDS / 2)
        # The culler works: now that no cell runs, it ends the kernel.
        deadline = time.monotonic() + 10 * IDLE_SECONDS
        while kernels(culling_server):
            assert time.monotonic() < deadline, "an idle kernel was not culled"
            lab.page.wait_for_timeout(200)
