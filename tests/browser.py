"""Fixtures that drive JupyterLab in a real browser; import them in a `conftest.py`.

`jupyterlab` starts a server on loopback with directories of its own, `browser` a headless Chromium,
and `lab` is one page on a fresh workspace:

    def test_sum(lab):
        notebook = lab.open_notebook("sum.ipynb", ["1 + 1"])
        notebook.run(0)
        expect(notebook.output(0)).to_have_text("2")

Chromium is Debian's; tests that need it are skipped where there is none.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCREENSHOTS = Path(__file__).parent.parent / "build" / "screenshots"

_CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass(frozen=True)
class JupyterLab:
    """A running server; notebooks lie in `root`."""

    url: str
    token: str
    root: Path

    def write_notebook(self, name: str, sources: list[str], kernel: str = "python3") -> Path:
        """Write a notebook with one code cell a source."""
        cells: list[dict[str, Any]] = [
            {
                "id": f"cell-{index}",
                "cell_type": "code",
                "source": source,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for index, source in enumerate(sources)
        ]
        kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
        notebook = {
            "cells": cells,
            "metadata": {"kernelspec": kernelspec},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        path = self.root / name
        path.write_text(json.dumps(notebook))
        return path

    def ask(self, path: str, method: str = "GET", seconds: float = 30) -> Any:
        """Return what the server's REST API answers, None for an empty answer."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.url}/api/{path}", headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return json.loads(answer.read() or "null")

    def sessions(self) -> dict[str, str]:
        """The notebooks that have a kernel, by the ids of their sessions."""
        return {session["id"]: session["path"] for session in self.ask("sessions")}

    def end_session(self, session: str) -> None:
        """Shut down the kernel of a session, as JupyterLab's list of running kernels does."""
        self.ask(f"sessions/{session}", "DELETE", seconds=60)


@contextmanager
def run_jupyterlab(directory: Path, environment: dict[str, str] | None = None) -> Iterator[JupyterLab]:
    """Run a JupyterLab whose files all lie in `directory`, and end it with all its kernels."""
    root = directory / "root"
    root.mkdir(parents=True)
    token = secrets.token_hex(16)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "JUPYTER_CONFIG_DIR": str(directory / "config"),
        "JUPYTER_DATA_DIR": str(directory / "data"),
        "JUPYTER_RUNTIME_DIR": str(directory / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(directory / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(directory / "workspaces"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "IPYTHONDIR": str(directory / "ipython"),
        "JUPYTER_TOKEN": token,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **(environment or {}),
    }
    # The news prompt would cover the page.
    news = directory / "settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *(
            f"--ServerApp.root_dir={root}",
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ),
    ]
    with (directory / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            env=os.environ | settings,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509  # it makes one system call and takes no lock
        )
        try:
            lab = JupyterLab(f"http://127.0.0.1:{port}", token, root)
            _wait_for_server(lab, server, directory / "server.log")
            yield lab
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def _end_with_parent() -> None:
    """Have the kernel of Linux end this child, and with it its notebooks' kernels, if pytest is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG; kernels watch their parent


def _wait_for_server(lab: JupyterLab, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            lab.ask("status", seconds=5)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(log.read_text())


class Lab:
    """JupyterLab in one page of the browser."""

    def __init__(self, server: JupyterLab, page: Page) -> None:
        self.server = server
        self.page = page

    def open_notebook(
        self, name: str, sources: list[str] | None = None, kernel: str = "python3"
    ) -> NotebookPage:
        """Open a notebook, written from `sources` where they are given, and wait for its kernel."""
        if sources is not None:
            self.server.write_notebook(name, sources, kernel)
        workspace = secrets.token_hex(4)
        self.page.goto(f"{self.server.url}/lab/workspaces/{workspace}/tree/{name}?token={self.server.token}")
        notebook = NotebookPage(self, name)
        notebook.wait_until_ready()
        return notebook

    def open_in_notebook_7(self, name: str, sources: list[str], kernel: str = "python3") -> NotebookPage:
        """Open a notebook in Notebook 7, which the same server serves."""
        self.server.write_notebook(name, sources, kernel)
        self.page.goto(f"{self.server.url}/notebooks/{name}?token={self.server.token}")
        notebook = Notebook7Page(self, name)
        notebook.wait_until_ready()
        return notebook

    @contextmanager
    def second_page(self) -> Iterator[Lab]:
        """JupyterLab in another page of the same browser, until the block ends."""
        page = self.page.context.new_page()
        try:
            yield Lab(self.server, page)
        finally:
            page.close()

    def set_theme(self, name: str) -> None:
        """Choose a theme by its name, as in the Settings menu: `JupyterLab Light`, `JupyterLab Dark`."""
        menu = self.page.locator(".lm-MenuBar-itemLabel", has_text="Settings")
        menu.click()
        self.page.locator(".lm-Menu-itemLabel", has_text="Theme").first.hover()
        self.page.get_by_text(name, exact=True).click()
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)

    def screenshot(self, name: str, target: Locator | None = None) -> Path:
        """Keep a picture of the page or of one element."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        (target or self.page).screenshot(path=path)
        return path


class NotebookPage:
    """An open notebook."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name
        self.page = lab.page
        self.path = lab.server.root / name
        self.panel = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def wait_until_ready(self) -> None:
        """Wait until the kernel is idle."""
        self.panel.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)
        # Before a kernel is there the indicator shows idle too, and a cell is dropped without a word.
        self.page.locator("#jp-main-statusbar", has_text="| Idle").wait_for(timeout=60_000)

    def cell(self, index: int) -> Locator:
        """The cell at a place, counted from 0."""
        return self.panel.locator(".jp-Notebook .jp-CodeCell").nth(index)

    def output(self, index: int) -> Locator:
        """The outputs of a cell."""
        return self.cell(index).locator(".jp-OutputArea-output")

    def start(self, index: int) -> None:
        """Run a cell and do not wait for it."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def run(self, index: int, timeout: float = 30) -> None:
        """Run a cell and wait until it is done, at most `timeout` seconds."""
        # JupyterLab replaces the node of the prompt: look it up each time.
        prompt = self.cell(index).locator(".jp-InputPrompt")
        before = prompt.text_content()
        self.start(index)
        deadline = time.monotonic() + timeout
        while (now := prompt.text_content() or "") == before or not re.fullmatch(r"\[\d+\]:", now):
            assert time.monotonic() < deadline, f"the cell still shows {now}"
            self.page.wait_for_timeout(20)

    def typing_delays(self, index: int) -> list[float]:
        """Type into a cell; return the milliseconds until each key was seen, sorted."""
        editor = self.cell(index).locator(".cm-content")
        editor.click()
        self.page.evaluate(
            """node => {
                window.typed = [];
                let begun = null;
                const painted = () => requestAnimationFrame(() => typed.push(performance.now() - begun));
                node.addEventListener("keydown", (event) => { begun = event.timeStamp; }, true);
                new MutationObserver(() => requestAnimationFrame(painted)).observe(
                    node, { childList: true, characterData: true, subtree: true });
            }""",
            editor.element_handle(),
        )
        for key in "abcdefghijklmnopqrst":
            self.page.keyboard.press(key)
            self.page.wait_for_timeout(60)
        # Keys that a busy page shows together are one change.
        self.page.wait_for_function("() => typed.length >= 10")
        delays: list[float] = sorted(self.page.evaluate("() => typed"))
        return delays

    def save(self) -> dict[str, Any]:
        """Save, and return the notebook as it then lies on disk."""
        before = self.path.stat().st_mtime_ns
        self.cell(0).locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Control+s")
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            # The file may be looked at while it is being written.
            if self.path.stat().st_mtime_ns != before and (text := self.path.read_text()).endswith("}\n"):
                notebook: dict[str, Any] = json.loads(text)
                return notebook
            self.page.wait_for_timeout(50)
        raise TimeoutError("the notebook was not saved")

    def restart_kernel(self) -> None:
        """Restart the kernel, as with the button in the toolbar."""
        self.panel.locator("[data-jp-item-name=restart] >> visible=true").first.click()
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.locator(".jp-Dialog").wait_for(state="detached")

    def reload(self) -> None:
        """Reload the page, and wait until the kernel is connected again."""
        self.page.reload()
        self.wait_until_ready()


class Notebook7Page(NotebookPage):
    """A notebook that is open in Notebook 7, where nothing else is on the page."""

    def wait_until_ready(self) -> None:
        """Wait until the kernel is idle: its status is shown, and fades."""
        self.page.locator(".jp-NotebookKernelStatus-fade").wait_for(timeout=60_000, state="attached")
        self.panel.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)


@pytest.fixture(scope="session")
def jupyterlab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterLab]:
    """A JupyterLab for all tests of the run."""
    with run_jupyterlab(tmp_path_factory.mktemp("jupyterlab")) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium for all tests of the run."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=_CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


@contextmanager
def new_lab(jupyterlab: JupyterLab, browser: Browser) -> Iterator[Lab]:
    """A page with storage of its own, and a clipboard that may be used."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    try:
        yield Lab(jupyterlab, context.new_page())
    finally:
        context.close()


@pytest.fixture
def lab(jupyterlab: JupyterLab, browser: Browser) -> Iterator[Lab]:
    """A page for one test, whose kernels end with it: another notebook of the same name would get them."""
    before = jupyterlab.sessions().keys()
    with new_lab(jupyterlab, browser) as page:
        yield page
    for session in jupyterlab.sessions().keys() - before:
        jupyterlab.end_session(session)
