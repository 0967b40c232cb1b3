"""Live logs in JupyterLab: kernels that restart or die, several views, floods."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from playwright.sync_api import expect

from daytona_kernel.views import WIDGET_MIME_TYPE

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser import Lab, NotebookPage
    from tests.lab_server import RunningKernel

COUNTING = "job = %session run s --async for i in 1 2 3; do echo line $i; done; sleep 900"
SECONDS = 90_000


@pytest.fixture
def frames(lab: Lab) -> list[bytes]:
    """The messages that the page gets from its kernels."""
    return lab.record_frames()


def open_notebook(
    lab: Lab, name: str, *sources: str, kernel: str | RunningKernel = "daytona"
) -> NotebookPage:
    """Open a notebook whose first cell creates session `s`, and run the first two cells."""
    create = "%session delete --all\n%session create s"
    notebook = lab.open_notebook(f"{name}.ipynb", [create, *sources], kernel)
    notebook.run(0)
    notebook.run(1)
    return notebook


def view_in(notebook: NotebookPage, index: int) -> Locator:
    view = notebook.output(index).locator(".dk-log")
    expect(view.locator(".dk-command")).to_be_visible(timeout=SECONDS)
    return view


def saved_output(notebook: NotebookPage, index: int) -> dict[str, Any]:
    data: dict[str, Any] = notebook.save()["cells"][index]["outputs"][0]["data"]
    return data


def wait_for_saved_log(notebook: NotebookPage, frames: list[bytes], text: bytes) -> None:
    """Wait until the page has a saved log with this text."""
    while not any(b'"bundle"' in frame and text in frame for frame in frames):
        notebook.page.wait_for_timeout(50)


def kernels_of(notebook: NotebookPage) -> list[psutil.Process]:
    """Return the processes of a notebook's kernel."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("JPY_SESSION_NAME") != str(notebook.path):
                continue
            if process.cmdline()[1:4] == ["-P", "-m", "daytona_kernel"]:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_a_restart_leaves_the_log_and_the_command(lab: Lab, frames: list[bytes]) -> None:
    notebook = open_notebook(lab, "restarted", COUNTING, "%session list", "%session logs s {job} --follow")
    view = view_in(notebook, 1)
    expect(view.locator(".dk-rows")).to_contain_text("line 3")
    assert WIDGET_MIME_TYPE in saved_output(notebook, 1)
    wait_for_saved_log(notebook, frames, b"line 3")
    notebook.restart_kernel()
    log = notebook.output(1).locator("details").first
    expect(log).to_contain_text("still running", timeout=SECONDS)
    expect(log).to_contain_text("line 3")
    notebook.wait_until_ready()
    assert set(saved_output(notebook, 1)) == {"text/html", "text/plain"}
    notebook.reload()
    expect(notebook.output(1)).to_contain_text("line 3")
    notebook.run(2)
    expect(notebook.output(2)).to_contain_text("running")


def test_a_kernel_that_dies_leaves_the_log(lab: Lab, frames: list[bytes]) -> None:
    notebook = open_notebook(lab, "died", COUNTING)
    view = view_in(notebook, 1)
    expect(view.locator(".dk-rows")).to_contain_text("line 3")
    wait_for_saved_log(notebook, frames, b"line 3")
    (kernel,) = kernels_of(notebook)
    kernel.send_signal(signal.SIGKILL)
    lab.page.locator(".jp-Dialog .jp-mod-accept").click(timeout=SECONDS)
    expect(notebook.output(1).locator("details").first).to_contain_text("line 3", timeout=SECONDS)
    assert set(saved_output(notebook, 1)) == {"text/html", "text/plain"}


@pytest.mark.parametrize("reloaded", [False, True])
def test_a_kernel_that_is_shut_down_leaves_the_log(lab: Lab, frames: list[bytes], reloaded: bool) -> None:
    notebook = open_notebook(lab, f"shut-{reloaded}", COUNTING)
    if reloaded:
        notebook.save()
        notebook.reload()
        frames.clear()
    expect(view_in(notebook, 1).locator(".dk-rows")).to_contain_text("line 3")
    wait_for_saved_log(notebook, frames, b"line 3")
    (session,) = [key for key, path in lab.server.sessions().items() if path == notebook.name]
    lab.server.end_session(session)
    log = notebook.output(1).locator("details").first
    expect(log).to_contain_text(re.compile("no longer followed|still running"), timeout=SECONDS)
    expect(log).to_contain_text("line 3")
    # The notebook keeps the saved log, whether or not the view learns of the kernel's end.
    assert set(saved_output(notebook, 1)) == {"text/html", "text/plain"}


def test_a_notebook_saved_while_a_command_ran_opens_without_its_kernel(lab: Lab) -> None:
    """The page closes first, so that no saved log can replace the view."""
    notebook = open_notebook(lab, "closed", COUNTING, "1 + 1")
    expect(view_in(notebook, 1).locator(".dk-rows")).to_contain_text("line 3")
    notebook.run(2)
    assert WIDGET_MIME_TYPE in saved_output(notebook, 1)
    lab.page.goto("about:blank")
    (kernel,) = kernels_of(notebook)
    kernel.send_signal(signal.SIGKILL)
    notebook = lab.open_notebook(notebook.name, kernel="daytona")
    log = notebook.output(1).locator("details").first
    expect(log).to_contain_text("still running", timeout=SECONDS)
    assert set(saved_output(notebook, 1)) == {"text/html", "text/plain"}
    notebook.run(2)
    expect(notebook.output(2).last).to_have_text("2")


def test_two_views_of_one_command_agree_while_a_cell_runs(lab: Lab, shared_kernel: RunningKernel) -> None:
    notebook = open_notebook(
        lab,
        "two",
        "job = %session run s --async echo up; read line; echo got $line; read line; exit 3",
        "%session logs s {job} --follow",
        "import time\nwhile True: time.sleep(0.1)",
        kernel=shared_kernel,
    )
    notebook.run(2)
    views = [view_in(notebook, index) for index in (1, 2)]
    for view in views:
        expect(view.locator(".dk-rows")).to_contain_text("up")
    notebook.start(3)
    expect(notebook.cell(3).locator(".jp-InputPrompt")).to_have_text("[*]:")
    views[0].locator(".dk-input").fill("this")
    views[0].locator(".dk-input").press("Enter")
    for view in views:
        expect(view.locator(".dk-rows")).to_contain_text("got this", timeout=SECONDS)
        expect(view.locator(".dk-facts")).to_contain_text("3 lines")
    views[1].locator(".dk-input").fill("that")
    views[1].locator(".dk-input").press("Enter")
    for index in (1, 2):
        expect(notebook.output(index).locator("details").first).to_contain_text("exited 3", timeout=SECONDS)
    expect(notebook.cell(3).locator(".jp-InputPrompt")).to_have_text("[*]:")
    notebook.interrupt_kernel()
    expect(notebook.output(3)).to_contain_text("KeyboardInterrupt", timeout=SECONDS)


def test_a_deleted_session_is_reported(lab: Lab, shared_kernel: RunningKernel) -> None:
    notebook = open_notebook(lab, "deleted", COUNTING, "%session delete s", kernel=shared_kernel)
    expect(view_in(notebook, 1).locator(".dk-rows")).to_contain_text("line 3")
    notebook.run(2)
    log = notebook.output(1).locator("details").first
    expect(log).to_contain_text("session 's' was deleted, and the command ended with it", timeout=SECONDS)
    expect(log).to_contain_text("line 3")


FLOODS = {
    "yes": "yes",
    "progress": "while :; do printf '\\rdone %d' $((i++)); sleep 0.001; done",
    "lines": "seq 1 1000000; read",
    "long": "head -c 50000000 /dev/zero | tr '\\0' x; read",
}
EDITOR = 1 + len(FLOODS)


@pytest.fixture(scope="module")
def flooded(lab_page: Lab, shared_kernel: RunningKernel) -> NotebookPage:
    """One notebook with a cell for each flood, and an empty cell to type into."""
    sessions = "\n".join(f"%session create {name}" for name in FLOODS)
    commands = [f"job = %session run {name} --async {command}" for name, command in FLOODS.items()]
    notebook = lab_page.open_notebook("floods.ipynb", [sessions, *commands, "# "], shared_kernel)
    notebook.run(0)
    return notebook


@pytest.fixture
def floods(flooded: NotebookPage) -> NotebookPage:
    """The same notebook, also after a test that opened another one."""
    flooded.show()
    return flooded


@pytest.mark.parametrize("name", FLOODS)
def test_typing_beside_a_flood(floods: NotebookPage, name: str) -> None:
    index = 1 + list(FLOODS).index(name)
    floods.run(index)
    view = view_in(floods, index)
    type_text(floods, EDITOR, name)
    if name == "lines":
        expect(view.locator(".dk-facts")).to_contain_text("1,000,000 lines", timeout=SECONDS)
        with floods.page.expect_download(timeout=60_000) as download:
            view.locator(".dk-button[data-name=download]").click()
        text = download.value.path().read_text()
        assert text == "".join(f"{number}\n" for number in range(1, 1_000_001))
    view.locator(".dk-button[data-name=stop]").click()
    expect(floods.output(index).locator("details").first).to_contain_text("stopped", timeout=SECONDS)
    assert len(json.dumps(saved_output(floods, index))) < 600_000


def test_typing_beside_twenty_logs(lab: Lab, shared_kernel: RunningKernel) -> None:
    # The loop starts no programs: twenty that do would use up the machine.
    loop = r"""lines=$(seq 1 200); while :; do echo "$lines"; read -t 0.1; done"""
    commands = "\n".join(f"%session create t{n}\n%session run t{n} --async {loop}" for n in range(20))
    notebook = open_notebook(lab, "twenty", commands, "# ", kernel=shared_kernel)
    views = notebook.output(1).locator(".dk-log")
    expect(views).to_have_count(20, timeout=SECONDS)
    type_text(notebook, 2, "twenty")
    for view in views.all():
        expect(view.locator(".dk-state")).to_have_text("running")
    stops = notebook.output(1).locator(".dk-button[data-name=stop]")
    stops.evaluate_all("buttons => buttons.forEach((button) => button.click())")
    expect(notebook.output(1).locator("details", has_text="stopped")).to_have_count(20, timeout=60_000)


def type_text(notebook: NotebookPage, index: int, text: str) -> None:
    """Type into a cell. `benchmarks/keystrokes.py` measures how soon a key shows."""
    editor = notebook.editor(index)
    editor.click()
    notebook.page.keyboard.type(text, delay=20)
    expect(editor).to_contain_text(text)
