"""The saved log takes a view's place in the notebook; the view stays for its reader. In a real browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from daytona_kernel.views import WIDGET_MIME_TYPE
from tests.views.log_views import follow, outputs, rows, tool
from tests.views.pages import PREPARE

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser import Lab
    from tests.lab_server import RunningKernel


def test_a_log_that_ends_stays_live_for_its_reader(lab: Lab, shared_ipykernel: RunningKernel) -> None:
    command = "for i in $(seq 3000); do echo line $i of a log; done; read; echo the end"
    notebook, view = follow(
        lab, "reader-at-the-end", command, "c.child.stdin.write(b'x\\n')", "1 + 1", kernel=shared_ipykernel
    )
    expect(view.locator(".dk-facts")).to_contain_text("3,000 lines")
    tool(view, "wrap").click()
    tool(view, "clock").click()
    tool(view, "search").click()
    view.locator(".dk-field").fill("line 15")
    expect(view.locator(".dk-hits")).to_have_text("111 of 111")
    for _ in range(2):
        view.locator(".dk-field").press("Enter")
    before = place_of(view)
    notebook.run(1)
    expect(view.locator(".dk-state")).to_have_text("exited 0")
    expect(notebook.output(0).locator("details").first).to_be_hidden()
    assert outputs(notebook.save()) == {"text/html", "text/plain"}
    assert place_of(view) == before
    expect(view.locator(".dk-hits")).to_have_text("109 of 111")
    expect(view.locator(".dk-field")).to_have_value("line 15")
    for name in ("wrap", "clock"):
        expect(tool(view, name)).to_have_attribute("aria-pressed", "true")
    for name in ("stop", "input"):
        expect(view.locator(f".dk-{name}, .dk-button[data-name={name}]")).to_be_hidden()
    notebook.run(2)
    assert place_of(view) == before
    tool(view, "copy").click()
    expect(view.locator(".dk-state")).to_have_text("Copied 3,001 lines")
    copied = lab.page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines()[::3000] == ["line 1 of a log", "the end"]
    with lab.page.expect_download() as download:
        tool(view, "download").click()
    assert len(download.value.path().read_text().splitlines()) == 3001


def place_of(view: Locator) -> tuple[Any, ...]:
    """Return where a view is scrolled to, and how wide it is."""
    box = view.bounding_box()
    assert box is not None
    return (view.locator(".dk-scroll").evaluate("node => node.scrollTop"), box["x"], box["width"])


def test_the_focus_stays_in_a_log_that_ends(lab: Lab, shared_ipykernel: RunningKernel) -> None:
    _, view = follow(lab, "focus-at-the-end", "echo up; read; sleep 1", kernel=shared_ipykernel)
    expect(rows(view)).to_have_text(["up"])
    tool(view, "search").click()
    view.locator(".dk-field").fill("u")
    view.locator(".dk-input").fill("x")
    view.locator(".dk-input").press("Enter")
    view.locator(".dk-field").focus()
    expect(view.locator(".dk-state")).to_have_text("exited 0")
    expect(view.locator(".dk-field")).to_be_focused()


def test_a_view_goes_with_its_output(lab: Lab, shared_ipykernel: RunningKernel) -> None:
    notebook, view = follow(lab, "cleared", "echo up; read", kernel=shared_ipykernel)
    view.locator(".dk-input").fill("x")
    view.locator(".dk-input").press("Enter")
    expect(view.locator(".dk-state")).to_have_text("exited 0")
    notebook.editor(0).fill("print('other')")
    notebook.run(0)
    expect(notebook.output(0)).to_have_text("other")
    expect(lab.page.locator(".dk-log")).to_have_count(0)


def test_a_reloaded_page_and_a_second_one_show_the_log_and_keep_it(
    lab: Lab, shared_ipykernel: RunningKernel
) -> None:
    notebook, view = follow(
        lab, "reload", "seq 1 50; read; echo second; read; echo third; read; exit 4", kernel=shared_ipykernel
    )
    expect(rows(view).last).to_have_text("50")
    assert WIDGET_MIME_TYPE in outputs(notebook.save())
    notebook.reload()
    expect(rows(view).last).to_have_text("50")
    expect(view.locator(".dk-facts")).to_contain_text("50 lines")
    with lab.second_page() as other_lab:
        other_view = other_lab.open_notebook("reload.ipynb").output(0).locator(".dk-log")
        expect(rows(other_view).last).to_have_text("50")
        other_view.locator(".dk-input").fill("x")
        other_view.locator(".dk-input").press("Enter")
        for each in (view, other_view):
            expect(rows(each).last).to_have_text("second")
    for _ in range(2):
        view.locator(".dk-input").fill("x")
        view.locator(".dk-input").press("Enter")
    # The reloaded page does not know the display's id, but the saved log replaces the view there too.
    expect(notebook.output(0).locator("details")).to_contain_text("exited 4")
    expect(view.locator(".dk-rows")).to_contain_text("third")
    saved = notebook.save()
    assert outputs(saved) == {"text/html", "text/plain"}
    assert "third" in json.dumps(saved)


def test_a_page_that_shows_the_saved_log_shows_a_view_in_its_place(
    lab: Lab, shared_ipykernel: RunningKernel
) -> None:
    """Such as another page of a shared notebook, which does not trust a cell that it has not run."""
    source = f"{PREPARE.strip()}\nc = FollowedCommand('echo up; read; echo down', 'training')"
    notebook = lab.open_notebook(
        "shared-notebook.ipynb", [source, "print(c.display._view_id)"], shared_ipykernel
    )
    with lab.second_page() as other:
        other.open_notebook("shared-notebook.ipynb")
        notebook.run(0)
        notebook.run(1)
        view_id = (notebook.output(1).text_content() or "").strip()
        other.page.evaluate(
            """(id) => document.querySelector(".jp-Notebook .jp-OutputArea").insertAdjacentHTML(
                "beforeend", `<div><details class="dk-saved-${id}">saved</details></div>`)""",
            view_id,
        )
        first, second = notebook.output(0).locator(".dk-log"), other.page.locator(".dk-log")
        for view in (first, second):
            expect(rows(view)).to_have_text(["up"])
        expect(other.page.locator(f".dk-saved-{view_id}")).to_be_hidden()
        second.locator(".dk-input").fill("x")
        second.locator(".dk-input").press("Enter")
        for view in (first, second):
            expect(rows(view)).to_have_text(["up", "down"])
            expect(view.locator(".dk-state")).to_have_text("exited 0")


def test_a_restarted_kernel_leaves_the_last_saved_log(lab: Lab) -> None:
    frames = lab.record_frames()
    notebook, view = follow(lab, "restart", "echo up; read")
    expect(rows(view)).to_have_text(["up"])
    while not any(b'"bundle"' in frame and b"\\nup" in frame for frame in frames):
        lab.page.wait_for_timeout(50)
    notebook.restart_kernel()
    final = notebook.output(0).locator("details")
    expect(final).to_contain_text("still running")
    expect(final).to_contain_text("up")
    expect(view).to_have_count(0)
    assert outputs(notebook.save()) == {"text/html", "text/plain"}
    notebook.reload()
    expect(notebook.output(0)).to_contain_text("up")
