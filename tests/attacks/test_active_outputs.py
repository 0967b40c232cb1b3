"""Outputs that run code in JupyterLab's page, which can control the person's Jupyter server.

By default they run, as with every kernel. DAYTONA_KERNEL_OUTPUTS=safe keeps them out, and still shows plots,
tables, sliders and logs.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.kernel.driver import Driver, running_kernel
from tests.lab_server import SAFE_KERNEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser import Lab, NotebookPage
    from tests.lab_server import LabServer, RunningKernel

pytest.importorskip("nh3", reason="nh3 is not installed: pip install 'daytona-kernel[safe]'")

_HOSTILE = r"""
from IPython.display import HTML, Javascript, Markdown, SVG, display
import anywidget, ipywidgets, traitlets

def mark(name):
    return f"(window.MARKS ??= []).push('{name}')"

def image(name):
    return f'<img src="nowhere-{name}" onerror="{mark(name)}">'

display(Javascript(mark("javascript")))
display(HTML(f"<script>{mark('script')}</script>"))
display(HTML(image("html")))
display(Markdown(image("markdown")))
picture = f'<image href="nowhere-svg" onerror="{mark("svg")}"/>'
display(SVG(f'<svg xmlns="http://www.w3.org/2000/svg">{picture}</svg>'))
display({"text/javascript": mark("text javascript")}, raw=True)
display(HTML("waits"), display_id="later").update(HTML(image("update")))

class Active(anywidget.AnyWidget):
    _esm = "export default { render() { " + mark("anywidget") + " } }"

display(Active())
display(ipywidgets.HTML(image("widget")))
label = ipywidgets.HTML("waits")
display(label)
label.value = image("widget update")
out = ipywidgets.Output()
display(out)
out.outputs = ({"output_type": "display_data", "metadata": {}, "data": {"text/html": image("output")}},)

class Result:
    def _repr_html_(self):
        return image("result")

Result()
"""
# JupyterLab 4.6 shows a drawing (SVG) as an image, where no script runs. Other front ends run its scripts.
_ATTACKS = {
    "javascript",
    "script",
    "html",
    "markdown",
    "text javascript",
    "update",
    "anywidget",
    "widget",
    "widget update",
    "output",
    "result",
}
_HONEST = [
    "import matplotlib.pyplot as plt\n_ = plt.plot([1, 3, 2])",
    "%config InlineBackend.figure_formats = ['svg']\n_ = plt.plot([1, 3, 2])",
    "import pandas; pandas.DataFrame({'letter': ['a', 'b'], 'number': [1, 2]})",
    "import ipywidgets; ipywidgets.interact(lambda n: print('twice', n * 2), n=(0, 10, 1));",
    "%session create lines\n%session run lines --async for i in 1 2 3; do echo line $i; done",
    "ipywidgets.HTML('<b>bold</b>')",
]


def _open_hostile(lab: Lab, name: str, *more: str, kernel: str | RunningKernel) -> NotebookPage:
    """Open a notebook whose first cell attacks the page, and leaves marks with the notebook's name there."""
    return lab.open_notebook(f"{name}.ipynb", [_HOSTILE.replace("MARKS", name), *more], kernel)


def _attacked(notebook: NotebookPage) -> set[str]:
    return set(notebook.page.evaluate(f"window.{notebook.path.stem} ?? []"))


def test_by_default_all_of_them_run(lab: Lab) -> None:
    """If one does not, the test below proves nothing about it."""
    notebook = _open_hostile(lab, "hostile", kernel="daytona")
    notebook.run(0, timeout=60)
    deadline = time.monotonic() + 30
    while _attacked(notebook) != _ATTACKS and time.monotonic() < deadline:
        lab.page.wait_for_timeout(100)
    assert _attacked(notebook) == _ATTACKS


@pytest.fixture(scope="module")
def safe_kernel(lab_server: LabServer) -> Iterator[RunningKernel]:
    with lab_server.run_kernel(SAFE_KERNEL) as kernel:
        yield kernel


def test_safe_outputs_run_nothing(lab: Lab, safe_kernel: RunningKernel) -> None:
    notebook = _open_hostile(
        lab, "harmless", "%session create s\n%session run s --async echo the end", kernel=safe_kernel
    )
    notebook.run(0, timeout=60)
    # The log is drawn by its own script, so all earlier outputs are drawn once the log is.
    notebook.run(1, timeout=60)
    expect(notebook.cell(1).locator(".jp-Cell-outputArea")).to_contain_text("the end")
    assert _attacked(notebook) == set()
    # JupyterLab asks for all widgets after a reload.
    notebook.save()
    notebook.reload()
    expect(notebook.cell(1).locator(".jp-Cell-outputArea")).to_contain_text("the end")
    expect(notebook.cell(0).locator(".jp-Cell-outputArea")).to_contain_text("Active object")
    assert _attacked(notebook) == set()


def test_safe_outputs_show_plots_tables_sliders_and_logs(lab: Lab, safe_kernel: RunningKernel) -> None:
    notebook = lab.open_notebook("honest.ipynb", _HONEST, kernel=safe_kernel)
    for index in range(len(_HONEST)):
        notebook.run(index, timeout=60)
    areas = [notebook.cell(index).locator(".jp-Cell-outputArea") for index in range(len(_HONEST))]
    for index in (0, 1):
        image = areas[index].locator("img").first
        expect(image).to_be_visible()
        assert image.evaluate("image => image.complete && image.naturalWidth > 100")
    expect(areas[2].locator("table.dataframe td").first).to_have_text("a")
    areas[3].locator(".widget-readout").fill("8")
    lab.page.keyboard.press("Enter")
    expect(areas[3]).to_contain_text("twice 16")
    expect(areas[4]).to_contain_text("line 3")
    expect(areas[5].locator("b")).to_have_text("bold")


@pytest.fixture(scope="module")
def kernel() -> Iterator[Driver]:
    with running_kernel(DAYTONA_KERNEL_OUTPUTS="safe") as driver:
        yield driver


def test_replies_have_no_active_content(kernel: Driver) -> None:
    """Tooltips and expressions are rendered like outputs."""
    kernel.run(
        "class Hostile:\n"
        "    def _repr_html_(self): return '<script>1</script>'\n"
        "    def __repr__(self): return 'x'\n"
        "hostile = Hostile()\n"
        "ip = get_ipython()\n"
        "inspect = ip.kernel.do_inspect\n"
        "def do_inspect(*a, **k):\n"
        "    data = {'text/html': '<script>1</script>'}\n"
        "    return {'status': 'ok', 'found': True, 'metadata': {}, 'data': data}\n"
        "ip.kernel.do_inspect = do_inspect"
    )
    inspected = kernel.request("inspect_request", {"code": "hostile", "cursor_pos": 3, "detail_level": 0})
    assert inspected["found"]
    assert "script" not in json.dumps(inspected)
    answer = kernel.run("1", user_expressions={"a": "hostile"})
    assert answer.reply["user_expressions"]["a"]["data"]["text/plain"] == "x"
    assert "script" not in json.dumps(answer.reply)


@pytest.mark.parametrize(
    "change",
    [
        {"_view_module": "anywidget", "_view_name": "AnyView"},
        {"_model_module": "anywidget"},
        {"_esm": "alert(1)"},
    ],
)
def test_a_widget_keeps_its_module(kernel: Driver, change: dict[str, Any]) -> None:
    """A view is made from the state that the model has then."""
    answer = kernel.run(
        "import ipywidgets; slider = ipywidgets.IntSlider()\n"
        f"slider.comm.send({{'method': 'update', 'state': {change!r}, 'buffer_paths': []}})\n"
        "slider.value = 3"
    )
    states = [each["data"].get("state", {}) for each in answer.contents("comm_msg")]
    assert {"value": 3} in states
    assert not any(change.keys() & state.keys() for state in states)


def test_other_comms_are_not_opened(kernel: Driver) -> None:
    answer = kernel.run("from comm import create_comm; c = create_comm('made.up'); c.send({'states': 1})")
    assert answer.contents("comm_open") == []


@pytest.mark.parametrize("data", [None, [], "x", {"states": []}, {"state": 7}, {"states": {"a": 7}}])
def test_malformed_messages_of_widgets(kernel: Driver, data: object) -> None:
    content = json.dumps({"comm_id": "made-up", "data": data, "target_name": "jupyter.widget"})
    answer = kernel.run(
        "import json; kernel = get_ipython().kernel\n"
        "for kind in ('comm_open', 'comm_msg', 'comm_close', 'display_data'):\n"
        f"    kernel.session.send(kernel.iopub_socket, kind, json.loads({content!r}), kernel.get_parent())\n"
        "6 * 7"
    )
    assert answer.result == "42"
