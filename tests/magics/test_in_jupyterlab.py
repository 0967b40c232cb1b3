"""Magics in a real JupyterLab page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser import Lab
    from tests.lab_server import RunningKernel


def test_a_line_that_ticked_leaves_no_trace_on_the_page(lab: Lab, shared_kernel: RunningKernel) -> None:
    sources = ["%sh sleep 0; echo done", "%sh sleep 4; echo done"]
    notebook = lab.open_notebook("ticks.ipynb", sources, shared_kernel)
    notebook.run(0)
    notebook.start(1)
    expect(notebook.output(1)).to_contain_text(re.compile(r"Running for \d s"), timeout=20_000)
    expect(notebook.output(1)).to_have_text(["", "done"], timeout=20_000)
    areas = [notebook.cell(index).locator(".jp-OutputArea") for index in (0, 1)]
    heights = [area.bounding_box()["height"] for area in areas]  # type: ignore[index]
    assert heights[1] - heights[0] < 3
    outputs = notebook.save()["cells"][1]["outputs"]
    assert [each["text"] for each in outputs if each["output_type"] == "stream"] == [["done\n"]]
    assert "Running" not in str(outputs)


def test_the_tab_key_completes_a_magic(lab: Lab, shared_kernel: RunningKernel) -> None:
    notebook = lab.open_notebook("tab.ipynb", ["1", ""], shared_kernel)
    notebook.run(0)
    editor = notebook.cell(1).locator(".cm-content")
    editor.click()
    lab.page.keyboard.type("%sandbox st")
    offered = lab.page.locator(".jp-Completer-item")
    for _ in range(10):
        # JupyterLab drops a completion that takes over a second, as the first one on a busy machine may.
        lab.page.keyboard.press("Tab")
        try:
            expect(offered.first).to_be_visible(timeout=3_000)
            break
        except AssertionError:
            continue
    expect(offered).to_have_text([re.compile("start"), re.compile("stop")])
    lab.page.keyboard.press("Enter")
    expect(editor).to_have_text("%sandbox start")
