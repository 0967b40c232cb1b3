"""The pictures in docs/images, taken anew: they lie in build/screenshots afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser import Lab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser import JupyterLab

SECONDS = 30_000
TRAIN = r"""%%writefile train.py
import sys, time
for epoch in range(1, 9):
    print(f"\033[32mINFO\033[0m  epoch \033[1m{epoch}\033[0m  loss {0.97 - 0.09 * epoch:.2f}", flush=True)
    if epoch == 4:
        print("warning: the learning rate is high", file=sys.stderr, flush=True)
    time.sleep(0.2)
for done in range(63):
    print(f"\r\033[36msaving\033[0m {done:3}% |\033[34m{'━' * (done // 2):40}\033[0m|", end="", flush=True)
    time.sleep(0.02)
input()"""
CELLS = [
    TRAIN,
    "%session create work",
    (
        "import matplotlib.pyplot as plt, pandas as pd, platform, os\n"
        'print("Python", platform.python_version(), "in", os.getcwd())'
    ),
    (
        'data = pd.DataFrame({"step": range(1, 9), "loss": [0.92, 0.61, 0.44, 0.35, 0.29, 0.26, 0.24, 0.23]})\n'
        'data.plot(x="step", y="loss", figsize=(6, 1.9), legend=False, ylabel="loss");'
    ),
    "job = %session run work --async python train.py",
    "%sh uname -sr && python --version",
    "data.loss.min()",
]


def test_pictures(jupyterlab: JupyterLab, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1120, "height": 1080}, device_scale_factor=1.5)
    try:
        lab = Lab(jupyterlab, context.new_page())
        notebook = lab.open_notebook("sandbox.ipynb", CELLS, kernel="daytona")
        lab.page.keyboard.press("Control+b")
        notebook.run(0, timeout=60)
        lab.page.keyboard.press("Escape")
        lab.page.keyboard.press("d")
        lab.page.keyboard.press("d")
        for index in range(3):
            notebook.run(index, timeout=60)
        expect(notebook.output(2).locator("img")).to_be_visible(timeout=SECONDS)
        notebook.run(3)
        view = notebook.output(3).locator(".dk-log")
        expect(view.locator(".dk-rows")).to_contain_text("62%", timeout=SECONDS)
        notebook.run(4)
        notebook.run(5)
        expect(notebook.output(5)).to_contain_text("0.23")
        lab.screenshot("quickstart")
        lab.set_theme("JupyterLab Dark")
        # A theme fades in.
        lab.page.locator("#jupyterlab-splash").wait_for(state="detached")
        lab.screenshot("live-log", view)
    finally:
        context.close()
