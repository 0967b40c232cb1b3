"""The kernel in JupyterLab, in a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from daytona_kernel.views import WIDGET_MIME_TYPE

if TYPE_CHECKING:
    from tests.browser import Lab
    from tests.lab_server import RunningKernel


def test_the_kernels_card_is_in_the_launcher(lab: Lab) -> None:
    lab.open_launcher()
    card = lab.page.locator(".jp-LauncherCard[data-category=Notebook]", has_text="Daytona (Python)")
    card.wait_for(timeout=30_000)
    expect(card.locator("img, svg").first).to_be_visible()
    card.click()
    lab.page.locator("#jp-main-statusbar", has_text="Daytona (Python) | Idle").wait_for(timeout=30_000)


def test_cells_run_and_keep_their_state(lab: Lab, shared_kernel: RunningKernel) -> None:
    notebook = lab.open_notebook("cells.ipynb", ["x = 20", "x + 1", "1 / 0", "print(x)"], shared_kernel)
    notebook.run(0)
    notebook.run(1)
    expect(notebook.output(1)).to_have_text("21")
    notebook.run(2)
    expect(notebook.output(2)).to_contain_text("ZeroDivisionError")
    notebook.run(3)
    expect(notebook.output(3)).to_have_text("20")


def test_a_log_is_live_while_the_next_cell_runs_and_stays_when_saved(
    lab: Lab, shared_kernel: RunningKernel
) -> None:
    notebook = lab.open_notebook(
        "log.ipynb",
        [
            "%session create live",
            "job = %session run live --async seq 1 12; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo end",
            "print('meanwhile')",
            "open('/tmp/go', 'w').close()",
        ],
        shared_kernel,
    )
    notebook.run(0)
    notebook.run(1)
    log = notebook.output(1)
    expect(log).to_contain_text("12")
    notebook.run(2)
    expect(notebook.output(2)).to_have_text("meanwhile")
    expect(log).to_contain_text("running")
    notebook.run(3)
    expect(log).to_contain_text("exited 0")
    (output,) = notebook.save()["cells"][1]["outputs"]
    assert WIDGET_MIME_TYPE not in output["data"]
    assert "12\nend" in "".join(output["data"]["text/plain"])


def test_the_stop_buttons_of_notebook_and_log(lab: Lab, shared_kernel: RunningKernel) -> None:
    notebook = lab.open_notebook(
        "stop.ipynb",
        [
            "%session create s",
            "job = %session run s --async yes",
            "while True: pass",
            "%session run s echo alive",
        ],
        shared_kernel,
    )
    notebook.run(0)
    notebook.run(1)
    expect(notebook.output(1)).to_contain_text("running")
    notebook.start(2)
    # The view's button works while a cell is running.
    notebook.output(1).get_by_role("button", name="Stop").click()
    expect(notebook.output(1)).to_contain_text("stopped")
    notebook.interrupt_kernel()
    expect(notebook.output(2).last).to_contain_text("KeyboardInterrupt")
    # A cell that starts before the failed one has ended is aborted, as with ipykernel.
    expect(notebook.cell(2).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"))
    notebook.run(3)
    expect(notebook.output(3)).to_have_text("alive")


def test_widgets_of_the_sandbox_and_of_the_kernel_survive_a_reload(
    lab: Lab, shared_kernel: RunningKernel
) -> None:
    notebook = lab.open_notebook(
        "reload.ipynb",
        [
            "import ipywidgets; w = ipywidgets.IntSlider(7); w",
            "%session create r",
            "job = %session run r --async while true; do date; sleep 0.2; done",
            # The page's update comes on another channel than the cell.
            (
                "import time\nend = time.monotonic() + 15\n"
                "while w.value == 7 and time.monotonic() < end: time.sleep(0.05)\nw.value"
            ),
        ],
        shared_kernel,
    )
    for index in (0, 1, 2):
        notebook.run(index)
    expect(notebook.output(2)).to_contain_text("running")
    notebook.save()
    notebook.refresh()
    expect(notebook.output(0).locator(".widget-readout")).to_have_text("7")
    expect(notebook.output(2)).to_contain_text("running")
    notebook.output(0).locator(".widget-readout").fill("9")
    notebook.page.keyboard.press("Enter")
    notebook.run(3)
    expect(notebook.output(3)).to_have_text("9")


def test_a_users_button_works_while_a_cell_runs(lab: Lab, shared_kernel: RunningKernel) -> None:
    notebook = lab.open_notebook(
        "button.ipynb",
        [
            (
                "import ipywidgets, time\nb = ipywidgets.Button(description='press me')\n"
                "seen = []\nb.on_click(seen.append)\nb"
            ),
            "while not seen: time.sleep(0.01)\nprint('pressed')",
        ],
        shared_kernel,
    )
    notebook.run(0)
    notebook.start(1)
    notebook.output(0).get_by_role("button", name="press me").click()
    expect(notebook.output(1)).to_have_text("pressed")


def test_restart_gives_a_fresh_interpreter(lab: Lab) -> None:
    notebook = lab.open_notebook("restart.ipynb", ["x = 1", "'x' in globals()"], "daytona")
    notebook.run(0)
    notebook.restart_kernel()
    notebook.wait_until_ready()
    notebook.run(1)
    expect(notebook.output(1)).to_have_text("False")


def test_completion_and_tooltip(lab: Lab) -> None:
    # These names are in no cell, since JupyterLab itself offers the words in a notebook.
    define = "globals().update({'an_unusual_' + end: 5 for end in ('left', 'right')})"
    notebook = lab.open_notebook("complete.ipynb", [define, "an_unus"], "daytona")
    notebook.run(0)
    notebook.editor(1).click()
    lab.page.keyboard.press("End")
    notebook.cell(1).locator(".jp-mod-completer-enabled").wait_for()
    # JupyterLab drops a completion after one second, also the first one of a fresh interpreter.
    lab.page.keyboard.press("Tab")
    lab.page.locator(".jp-Completer-item", has_text="an_unusual_left").click()
    expect(notebook.editor(1)).to_have_text("an_unusual_left")
    lab.page.keyboard.press("Shift+Tab")
    expect(lab.page.locator(".jp-Tooltip")).to_contain_text("int")


def test_a_breakpoint_stops_the_cell_and_shows_its_variables(lab: Lab, shared_kernel: RunningKernel) -> None:
    notebook = lab.open_notebook(
        "debug.ipynb", ["1 + 1", "def double(n):\n    m = n * 2\n    return m\ndouble(21)"], shared_kernel
    )
    notebook.run(0)
    notebook.panel.locator(".jp-DebuggerBugButton").click()
    # The gutter for breakpoints appears when the debugger has started.
    gutter = notebook.cell(1).locator(".cm-breakpoint-gutter .cm-gutterElement")
    expect(gutter.nth(2)).to_be_attached(timeout=30_000)
    gutter.nth(2).click()
    notebook.start(1)
    lab.page.locator(".jp-DebuggerEditor-highlight").wait_for(timeout=30_000)
    variables = lab.page.locator(".jp-DebuggerVariables")
    expect(variables).to_contain_text("n")
    expect(variables).to_contain_text("21")
    lab.page.get_by_role("button", name="Continue (F9)").click()
    expect(notebook.output(1)).to_have_text("42")
