"""Notebook 7 in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser import Lab


def test_a_notebook_opens_runs_and_is_saved(lab: Lab) -> None:
    sources = ["x = 20", "x + 1", "1 / 0", "import ipywidgets; ipywidgets.IntSlider(7)", "input('who? ')"]
    notebook = lab.open_in_notebook_7("seven.ipynb", sources, kernel="daytona")
    expect(lab.page.locator(".jp-KernelName")).to_have_text("Daytona (Python)")
    notebook.run(0)
    notebook.run(1)
    expect(notebook.output(1)).to_have_text("21")
    notebook.run(2)
    expect(notebook.output(2)).to_contain_text("ZeroDivisionError")
    notebook.run(3)
    expect(notebook.output(3).locator(".widget-readout")).to_have_text("7", timeout=30_000)
    notebook.start(4)
    notebook.cell(4).locator(".jp-Stdin-input").fill("Ada")
    notebook.cell(4).locator(".jp-Stdin-input").press("Enter")
    expect(notebook.output(4).last).to_have_text("'Ada'", timeout=30_000)
    cells = notebook.save()["cells"]
    assert [cell["execution_count"] for cell in cells] == [1, 2, 3, 4, 5]
    assert cells[1]["outputs"][0]["data"]["text/plain"] == ["21"]


def test_a_restart_starts_a_new_interpreter(lab: Lab) -> None:
    notebook = lab.open_in_notebook_7("again.ipynb", ["x = 1", "'x' in globals()"], kernel="daytona")
    notebook.run(0)
    notebook.restart_kernel()
    notebook.wait_until_ready()
    notebook.run(1)
    expect(notebook.output(1)).to_have_text("False")
