"""Widgets of the sandbox in JupyterLab, used with keyboard and mouse."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser import Lab
    from tests.lab_server import RunningKernel


def test_interact_and_an_output_that_captures(lab: Lab, shared_kernel: RunningKernel) -> None:
    notebook = lab.open_notebook(
        "interact.ipynb",
        [
            (
                "from ipywidgets import Button, Output, interact\nfrom IPython.display import display\n"
                "interact(lambda n: print('twice', n * 2), n=(0, 10, 1));"
            ),
            (
                "out, button = Output(), Button(description='add')\n"
                "bold = {'text/html': '<b>bold</b>'}\n"
                "def add(_):\n    with out:\n        print('line'); display(bold, raw=True)\n"
                "button.on_click(add)\ndisplay(button, out)"
            ),
        ],
        shared_kernel,
    )
    notebook.run(0)
    interacted = notebook.cell(0).locator(".jp-Cell-outputArea")
    expect(interacted).to_contain_text("twice 10")
    interacted.locator(".widget-readout").fill("8")
    lab.page.keyboard.press("Enter")
    expect(interacted).to_contain_text("twice 16")
    notebook.run(1)
    captured = notebook.cell(1).locator(".jp-Cell-outputArea")
    captured.get_by_role("button", name="add").click()
    expect(captured.locator("b")).to_have_text("bold")
    expect(captured).to_contain_text("line")


def test_a_progress_bar_of_tqdm(lab: Lab, shared_kernel: RunningKernel) -> None:
    source = (
        "import time\nfrom tqdm.auto import tqdm\n"
        "for i in tqdm(range(4), desc='work', mininterval=0):\n"
        "    while i == 2: time.sleep(0.01)"
    )
    notebook = lab.open_notebook("tqdm.ipynb", [source], shared_kernel)
    notebook.start(0)
    bar = notebook.cell(0).locator(".jp-Cell-outputArea")
    expect(bar).to_contain_text("2/4", timeout=30_000)
    expect(bar).to_contain_text("work")
    notebook.interrupt_kernel()
    expect(bar).to_contain_text("KeyboardInterrupt")


def test_a_figure_of_ipympl_is_drawn(lab: Lab, shared_kernel: RunningKernel) -> None:
    notebook = lab.open_notebook(
        "ipympl.ipynb",
        [
            (
                "%matplotlib widget\nimport matplotlib.pyplot as plt\n"
                "fig, ax = plt.subplots()\nax.plot([1, 2])\n"
                "clicks = []\nfig.canvas.mpl_connect('button_press_event', clicks.append)\nplt.show()"
            ),
            "len(clicks)",
        ],
        shared_kernel,
    )
    notebook.run(0, timeout=60)
    canvas = notebook.cell(0).locator(".jupyter-matplotlib-canvas-div canvas").first
    canvas.wait_for(timeout=30_000)
    # The line is drawn when the pixels differ. ipympl can replace the canvas before that.
    lab.page.wait_for_function(
        """() => {
            const canvas = document.querySelector(
                ".jp-NotebookPanel:not(.lm-mod-hidden) .jupyter-matplotlib-canvas-div canvas");
            if (!canvas?.width || !canvas.height) return false;
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return new Set(new Uint32Array(pixels.buffer)).size > 2;
        }""",
        timeout=90_000,
    )
    # A click on a canvas that ipympl is about to replace is lost. Another one may come late.
    counted = notebook.output(1)
    for _ in range(10):
        notebook.cell(0).locator(".jupyter-matplotlib-canvas-div").click()
        until = time.monotonic() + 5
        notebook.run(1)
        while counted.text_content() == "0" and time.monotonic() < until:
            notebook.run(1)
        if counted.text_content() != "0":
            break
    expect(counted).to_have_text("1")


def test_an_anywidget_talks_both_ways_and_comes_back_after_a_reload(
    lab: Lab, shared_kernel: RunningKernel
) -> None:
    esm = """
export default {
  render({ model, el }) {
    const button = document.createElement("button");
    const bytes = () => new Uint8Array(model.get("data").buffer);
    const show = () => { button.textContent = "bytes " + bytes().join(" "); };
    button.className = "bytes";
    button.onclick = () => {
      model.set("data", new DataView(new Uint8Array([7, 8, 9]).buffer));
      model.save_changes();
    };
    model.on("change:data", show);
    show();
    el.append(button);
  },
};
"""
    notebook = lab.open_notebook(
        "anywidget.ipynb",
        [
            (
                "import anywidget, traitlets\nclass Bytes(anywidget.AnyWidget):\n"
                f"    _esm = '''{esm}'''\n"
                "    data = traitlets.Any(b'').tag(sync=True)\nw = Bytes(data=b'\\x01\\x02')\nw"
            ),
            # Comms have their own subshell, so the click can arrive after this cell has started.
            (
                "import time\nuntil = time.time() + 10\n"
                "while w.data == b'\\x01\\x02' and time.time() < until:\n    time.sleep(0.01)\nbytes(w.data)"
            ),
            "w.data = b'\\x05'",
        ],
        shared_kernel,
    )
    notebook.run(0)
    button = notebook.output(0).locator("button.bytes")
    expect(button).to_have_text("bytes 1 2", timeout=30_000)
    button.click()
    expect(button).to_have_text("bytes 7 8 9")
    notebook.run(1)
    expect(notebook.output(1)).to_have_text("b'\\x07\\x08\\t'")
    notebook.run(2)
    expect(button).to_have_text("bytes 5")
    notebook.save()
    notebook.reload()
    expect(button).to_have_text("bytes 5", timeout=30_000)
