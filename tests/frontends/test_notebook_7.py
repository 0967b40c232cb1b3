"""Notebook 7 in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser import Lab


def test_a_notebook_opens_runs_is_saved_and_restarts(lab: Lab) -> None:
    sources = [
        "x = 20",
        "x + 1",
        "1 / 0",
        "import ipywidgets; ipywidgets.IntSlider(7)",
        "input('who? ')",
        "'x' in globals()",
    ]
    with lab.second_page() as page:
        notebook = page.open_in_notebook_7("seven.ipynb", sources, kernel="daytona")
        expect(notebook.page.locator(".jp-KernelName")).to_have_text("Daytona (Python)")
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
        assert [cell["execution_count"] for cell in cells] == [1, 2, 3, 4, 5, None]
        assert cells[1]["outputs"][0]["data"]["text/plain"] == ["21"]
        notebook.restart_kernel()
        notebook.wait_until_ready()
        notebook.run(5)
        expect(notebook.output(5)).to_have_text("False")
