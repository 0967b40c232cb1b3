"""JupyterLab in a real browser, for tests, benchmarks and pictures.

    def test_sum(lab: Lab) -> None:
        notebook = lab.open_notebook("sum.ipynb", ["1 + 1"])
        notebook.run(0)
        expect(notebook.output(0)).to_have_text("2")

JupyterLab takes seconds to load, so tests use one page after another: it opens the next notebook, as a user
does. The browser is Debian's Chromium. The fixtures are in `conftest.py`; they skip their tests without it.
"""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect, sync_playwright

from tests.lab_server import LabServer, RunningKernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import BrowserContext, Locator, Page, WebSocket


# The headless shell is the same engine without windows, and takes a sixth less of the processor.
_PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _PROGRAMS)), None)

_CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# Compiling a script for speed costs more than it saves in a page that lives for seconds.
UNOPTIMIZED_SCRIPTS = "--js-flags=--no-opt --no-maglev"
# JupyterLab itself opens a notebook or brings it to the front, and closes all of them without a question.
_OPEN = """async (path) => {
    const panel = await jupyterapp.commands.execute("docmanager:open", { path });
    panel.node.dataset.path = path;
}"""
_CLOSE_DOCUMENTS = """() => {
    for (const widget of [...jupyterapp.shell.widgets("main")]) widget.dispose();
    jupyterapp.shell.collapseRight();
}"""
# A cell shows another number than before it ran. JupyterLab replaces the node that shows it.
_HAS_RUN = r"""([cell, before]) => {
    const now = cell.querySelector(".jp-InputPrompt")?.textContent ?? before;
    return now !== before && /^\[\d+\]:$/.test(now);
}"""
_EXPECT_MS = 60_000
_READY_MS = 120_000
_POLL_MS = 20


@contextmanager
def run_chromium(
    width: int, height: int, scale: float = 1, options: Sequence[str] = ()
) -> Iterator[BrowserContext]:
    """Run a headless Chromium with pages of a size in pixels. While it runs, `expect` waits for 60 s."""
    # Only with a profile on disk does Chromium keep compiled scripts, and JupyterLab has 20 MB of scripts.
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            args=[*_CHROMIUM_ARGUMENTS, *options],
            viewport={"width": width, "height": height},
            device_scale_factor=scale,
            permissions=["clipboard-read", "clipboard-write"],
        )
        expect.set_options(timeout=_EXPECT_MS)
        try:
            yield context
        finally:
            expect.set_options(timeout=None)
            context.close()


class Lab:
    """JupyterLab in one page of the browser."""

    def __init__(self, server: LabServer, page: Page) -> None:
        self.server = server
        self.page = page
        self._recorders: list[Callable[[WebSocket], None]] = []

    def open_notebook(
        self, name: str, sources: list[str] | None = None, kernel: str | RunningKernel = "python3"
    ) -> NotebookPage:
        """Open a notebook, and wait for its kernel. `None`: the file is there already."""
        if isinstance(kernel, RunningKernel):
            self.server.share_kernel(kernel, name)
            kernel = kernel.name
        if sources is not None:
            self.server.write_notebook(name, sources, kernel)
        if self._is_loaded():
            self.close_documents()
        else:
            self.load(name)
        notebook = NotebookPage(self, name)
        notebook.show()
        notebook.wait_until_ready()
        return notebook

    def open_launcher(self) -> None:
        """Close all documents. JupyterLab then shows its launcher."""
        if self._is_loaded():
            self.close_documents()
        else:
            self.load()

    def open_in_notebook_7(self, name: str, sources: list[str], kernel: str = "python3") -> NotebookPage:
        """Open a notebook in Notebook 7, which the same server serves."""
        self.server.write_notebook(name, sources, kernel)
        self.page.goto(f"{self.server.url}/notebooks/{name}?token={self.server.token}")
        notebook = Notebook7Page(self, name)
        notebook.wait_until_ready()
        return notebook

    def load(self, name: str | None = None) -> None:
        """Load JupyterLab with one notebook or none, in a new workspace.

        JupyterLab restores the layout of an old one, which can still have the notebook of an earlier test.
        """
        notebook = f"/tree/{name}" if name else ""
        url = f"{self.server.url}/lab/workspaces/{secrets.token_hex(4)}{notebook}?token={self.server.token}"
        self.page.goto(url)

    def close_documents(self) -> None:
        """Close all documents without saving them."""
        if self._is_loaded() and self.page.locator(".jp-Dialog").count() == 0:
            self.page.evaluate(_CLOSE_DOCUMENTS)
        else:
            self.page.goto("about:blank")

    def _is_loaded(self) -> bool:
        # Notebook 7 opens each notebook in a new page.
        in_lab = self.page.url.startswith(f"{self.server.url}/lab")
        return in_lab and bool(self.page.evaluate("'jupyterapp' in window"))

    def reset(self) -> None:
        """Close all documents, and record no more frames."""
        self.close_documents()
        for recorder in self._recorders:
            self.page.remove_listener("websocket", recorder)
        self._recorders.clear()

    @contextmanager
    def second_page(self) -> Iterator[Lab]:
        """JupyterLab in another page of the same browser, until the block ends."""
        with new_page(self.server, self.page.context) as lab:
            yield lab

    def record_frames(self) -> list[bytes]:
        """Return a list that grows with each binary message from a kernel to this page."""
        frames: list[bytes] = []

        def record(frame: str | bytes) -> None:
            if isinstance(frame, bytes):
                frames.append(frame)

        def watch(socket: WebSocket) -> None:
            socket.on("framereceived", record)

        self.page.on("websocket", watch)
        self._recorders.append(watch)
        return frames

    def set_theme(self, name: str) -> None:
        """Choose a theme by its name in the Settings menu: `JupyterLab Light`, `JupyterLab Dark`."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text="Settings").click()
        self.page.locator(".lm-Menu-itemLabel", has_text="Theme").first.hover()
        self.page.get_by_text(name, exact=True).click()
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)
        # The new theme fades in.
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")


class NotebookPage:
    """An open notebook."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name
        self.page = lab.page
        self.path = lab.server.root / name
        self.panel = self.page.locator(f".jp-NotebookPanel[data-path='{name}']")

    def show(self) -> None:
        """Wait until JupyterLab has started, and open the notebook there or bring it to the front."""
        self.page.wait_for_function("() => 'jupyterapp' in window", timeout=_READY_MS)
        self.page.evaluate("async () => { await jupyterapp.restored; }")
        # JupyterLab opens the notebook of its address late, and restores the file browser after that.
        self.page.locator(".jp-mod-restoring").wait_for(state="detached")
        self.page.evaluate(_OPEN, self.name)

    def wait_until_ready(self) -> None:
        """Wait until the kernel is idle."""
        idle = self.panel.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")
        idle.wait_for(timeout=_READY_MS)
        # The indicator shows idle also before the kernel exists, and JupyterLab then drops a cell silently.
        self.page.locator("#jp-main-statusbar", has_text="| Idle").wait_for(timeout=_READY_MS)

    def cell(self, index: int) -> Locator:
        """Return a cell; the first has index 0."""
        return self.panel.locator(".jp-Notebook .jp-CodeCell").nth(index)

    def editor(self, index: int) -> Locator:
        """Return the editor of a cell."""
        return self.cell(index).locator(".cm-content")

    def output(self, index: int) -> Locator:
        """Return the outputs of a cell."""
        return self.cell(index).locator(".jp-OutputArea-output")

    def start(self, index: int) -> None:
        """Run a cell without waiting for it."""
        self.editor(index).click()
        self.page.keyboard.press("Control+Enter")

    def run(self, index: int, timeout: float = 90) -> None:
        """Run a cell and wait for its end, at most `timeout` seconds."""
        before = self.cell(index).locator(".jp-InputPrompt").text_content()
        self.start(index)
        cell = self.cell(index).element_handle()
        self.page.wait_for_function(_HAS_RUN, arg=[cell, before], polling=_POLL_MS, timeout=1_000 * timeout)

    def save(self) -> dict[str, Any]:
        """Save the notebook, and return the content of its file."""
        before = self.path.stat().st_mtime_ns
        self.cell(0).locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Control+s")
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            # The server may still be writing the file.
            if self.path.stat().st_mtime_ns != before and (text := self.path.read_text()).endswith("}\n"):
                notebook: dict[str, Any] = json.loads(text)
                return notebook
            self.page.wait_for_timeout(_POLL_MS)
        raise TimeoutError("the notebook was not saved")

    def interrupt_kernel(self) -> None:
        """Interrupt the kernel with the button in the toolbar."""
        self._toolbar_button("interrupt").click()

    def restart_kernel(self) -> None:
        """Restart the kernel with the button in the toolbar."""
        self._toolbar_button("restart").click()
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.locator(".jp-Dialog").wait_for(state="detached")

    def reload(self) -> None:
        """Open the notebook again in a fresh page, and wait until the kernel is connected again."""
        self.lab.load(self.name)
        self.show()
        self.wait_until_ready()

    def refresh(self) -> None:
        """Reload the page as a person does: JupyterLab restores its layout."""
        self.page.reload()
        self.show()
        self.wait_until_ready()

    def _toolbar_button(self, name: str) -> Locator:
        return self.panel.locator(f"[data-jp-item-name={name}] >> visible=true").first


class Notebook7Page(NotebookPage):
    """A notebook that is open in Notebook 7, which shows nothing else."""

    def __init__(self, lab: Lab, name: str) -> None:
        super().__init__(lab, name)
        self.panel = self.page.locator(".jp-NotebookPanel")

    def wait_until_ready(self) -> None:
        """Wait until the kernel is idle: its status appears, and fades."""
        status = self.page.locator(".jp-NotebookKernelStatus-fade")
        status.wait_for(timeout=_READY_MS, state="attached")
        idle = self.panel.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")
        idle.wait_for(timeout=_READY_MS)


@contextmanager
def new_page(server: LabServer, context: BrowserContext) -> Iterator[Lab]:
    """JupyterLab in a new page. When the block ends, the page closes and the kernels that it started end."""
    page = context.new_page()
    try:
        with server.ended_kernels():
            yield Lab(server, page)
    finally:
        page.close()
