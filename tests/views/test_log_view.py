"""The log view in JupyterLab, in a real browser."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from daytona_kernel.views import WIDGET_MIME_TYPE
from daytona_kernel.views.log_view import join_modules
from tests.browser import new_page
from tests.views.pages import PREPARE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Locator

    from tests.browser import Lab, NotebookPage
    from tests.lab_server import LabServer

TRAINING = r"""
for i in 1 2 3 4 5 6; do
    printf '\033[32mINFO\033[0m  epoch \033[1m%d\033[0m  loss 0.%d\n' $i $((97 - 7 * i))
done
echo 'warning: the learning rate is high' >&2
printf '\033[31mERROR\033[0m could not write \033[4mcheckpoint.pt\033[0m, \033[36mtrying again\033[0m\n'
for i in $(seq 1 62); do printf '\r%3d%% |%-30s|' $i "$(printf '%.0s=' $(seq 1 $((i / 2))))"; done
read answer; echo; echo "answer: $answer"; read rest
"""


COMMANDS = {
    "tail": "seq 1 2000; while read line; do seq 1 $line; done",
    "reader": "seq 1 2000; while sleep 0.05; do seq 1 50; done",
    "search": "seq 1 3000; read",
    "tools": "seq 1 100000; printf 'x%.0s' $(seq 1 400); echo; read a; echo $a; read",
    "keyboard": "echo up; read",
}


@pytest.fixture(scope="module")
def shared(lab_server: LabServer, browser: BrowserContext) -> Iterator[NotebookPage]:
    """One notebook with a cell for each command."""
    with new_page(lab_server, browser) as lab:
        cells = [f"c = FollowedCommand({command!r})" for command in COMMANDS.values()]
        notebook = lab.open_notebook("shared.ipynb", [PREPARE, *cells])
        notebook.run(0)
        yield notebook


def follow_in(notebook: NotebookPage, name: str) -> Locator:
    """Run the cell of a command in the shared notebook, and return the view."""
    index = 1 + list(COMMANDS).index(name)
    notebook.run(index)
    view = notebook.output(index).locator(".dk-log")
    expect(view.locator(".dk-command")).to_be_visible()
    view.scroll_into_view_if_needed()
    return view


def stop(view: Locator) -> None:
    tool(view, "stop").click()
    expect(view.locator(".dk-state")).to_have_text("stopped")


def follow(lab: Lab, name: str, command: str, *more: str) -> tuple[NotebookPage, Locator]:
    """Open a notebook that follows a command, and return it with the view."""
    source = f"{PREPARE.strip()}\nc = FollowedCommand({command!r}, 'training')"
    notebook = lab.open_notebook(f"{name}.ipynb", [source, *more])
    notebook.run(0)
    view = notebook.output(0).locator(".dk-log")
    expect(view.locator(".dk-command")).to_be_visible(timeout=15_000)
    return notebook, view


def tool(view: Locator, name: str) -> Locator:
    return view.locator(f".dk-button[data-name={name}]")


def rows(view: Locator) -> Locator:
    return view.locator(".dk-rows .dk-row")


def outputs(notebook: dict[str, Any], index: int = 0) -> set[str]:
    return {mime for output in notebook["cells"][index]["outputs"] for mime in output.get("data", {})}


def test_a_command_is_live_while_cells_run_and_its_log_stays(lab: Lab) -> None:
    notebook, view = follow(lab, "live", TRAINING, "import time; time.sleep(0.5); 6 * 7")
    expect(view.locator(".dk-state")).to_have_text("running")
    expect(view.locator(".dk-facts")).to_have_text(re.compile(r"^\d.* · session training$"))
    expect(view.locator(".dk-rows")).to_contain_text("epoch 6")
    expect(rows(view).last).to_contain_text("62% |===")
    notebook.run(1)
    expect(notebook.output(1)).to_have_text("42")
    expect(view.locator(".dk-facts")).to_contain_text("9 lines")

    view.locator(".dk-input").fill("forty-two")
    view.locator(".dk-input").press("Enter")
    expect(view.locator(".dk-rows")).to_contain_text("answer: forty-two")
    expect(view.locator(".dk-input")).to_have_value("")

    tool(view, "stop").click()
    expect(view.locator(".dk-state")).to_have_text("stopped")
    final = notebook.output(0).locator("details")
    expect(final).to_contain_text("stopped")
    saved = notebook.save()
    assert outputs(saved) == {"text/html", "text/plain"}
    assert "answer: forty-two" in json.dumps(saved)
    expect(final).to_contain_text("answer: forty-two")
    expect(final).to_be_hidden()
    expect(view.locator(".dk-rows")).to_contain_text("answer: forty-two")
    notebook.reload()
    expect(view).to_have_count(0)
    expect(final).to_be_visible()
    expect(final).to_contain_text("answer: forty-two")


def test_a_log_that_ends_stays_live_for_its_reader(lab: Lab) -> None:
    command = "for i in $(seq 3000); do echo line $i of a log; done; read; echo the end"
    notebook, view = follow(lab, "reader-at-the-end", command, "c.child.stdin.write(b'x\\n')", "1 + 1")
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


def test_the_focus_stays_in_a_log_that_ends(lab: Lab) -> None:
    _, view = follow(lab, "focus-at-the-end", "echo up; read; sleep 1")
    expect(rows(view)).to_have_text(["up"])
    tool(view, "search").click()
    view.locator(".dk-field").fill("u")
    view.locator(".dk-input").fill("x")
    view.locator(".dk-input").press("Enter")
    view.locator(".dk-field").focus()
    expect(view.locator(".dk-state")).to_have_text("exited 0")
    expect(view.locator(".dk-field")).to_be_focused()


def test_a_view_goes_with_its_output(lab: Lab) -> None:
    notebook, view = follow(lab, "cleared", "echo up; read")
    view.locator(".dk-input").fill("x")
    view.locator(".dk-input").press("Enter")
    expect(view.locator(".dk-state")).to_have_text("exited 0")
    notebook.editor(0).fill("print('other')")
    notebook.run(0)
    expect(notebook.output(0)).to_have_text("other")
    expect(lab.page.locator(".dk-log")).to_have_count(0)


def test_the_tail_is_followed_until_the_reader_scrolls(shared: NotebookPage) -> None:
    view = follow_in(shared, "tail")
    expect(view.locator(".dk-facts")).to_contain_text("2,000 lines")
    expect(rows(view).last).to_have_text("2000")
    assert rows(view).count() < 80
    expect(view.locator(".dk-jump")).to_be_hidden()
    view.locator(".dk-scroll").hover()
    shared.page.mouse.wheel(0, -400)
    expect(view.locator(".dk-jump")).to_be_visible()
    view.locator(".dk-scroll").focus()
    shared.page.keyboard.press("Home")
    expect(rows(view).first).to_have_text("1")
    shared.page.keyboard.press("End")
    expect(rows(view).last).to_have_text("2000")
    shared.page.mouse.wheel(0, -400)
    view.locator(".dk-jump").click()
    expect(rows(view).last).to_have_text("2000")
    expect(view.locator(".dk-jump")).to_be_hidden()
    view.locator(".dk-input").fill("100")
    view.locator(".dk-input").press("Enter")
    expect(rows(view).last).to_have_text("100")
    stop(view)


def test_a_reader_is_not_disturbed_by_output(shared: NotebookPage) -> None:
    view = follow_in(shared, "reader")
    expect(view.locator(".dk-facts")).to_contain_text("2,")
    scroll = view.locator(".dk-scroll")
    scroll.hover()
    shared.page.mouse.wheel(0, -3000)
    expect(view.locator(".dk-jump")).to_be_visible()
    row = rows(view).nth(rows(view).count() // 2).element_handle()
    look = "node => [node.isConnected, node.textContent, Math.round(node.getBoundingClientRect().top)]"
    before_output = row.evaluate(look)
    before = view.locator(".dk-facts").text_content()
    shared.page.wait_for_function(
        "([node, before]) => node.textContent.split(' ')[3] !== before.split(' ')[3]",
        arg=[view.locator(".dk-facts").element_handle(), before],
    )
    assert row.evaluate(look) == before_output
    stop(view)


def test_search(shared: NotebookPage) -> None:
    view = follow_in(shared, "search")
    expect(view.locator(".dk-facts")).to_contain_text("3,000 lines")
    view.locator(".dk-scroll").click()
    shared.page.keyboard.press("Control+f")
    expect(view.locator(".dk-field")).to_be_focused()
    shared.page.keyboard.type("77")
    found = sum(str(number).count("77") for number in range(1, 3001))
    expect(view.locator(".dk-hits")).to_have_text(f"{found} of {found}")
    expect(view.locator(".dk-current")).to_be_visible()
    expect(view.locator(".dk-rows .dk-row", has=view.page.locator(".dk-current"))).to_have_text("2977")
    shared.page.keyboard.press("Enter")
    expect(view.locator(".dk-hits")).to_have_text(f"{found - 1} of {found}")
    expect(view.locator(".dk-rows .dk-row", has=view.page.locator(".dk-current"))).to_have_text("2877")
    tool(view, "next").click()
    tool(view, "next").click()
    expect(view.locator(".dk-hits")).to_have_text(f"1 of {found}")
    expect(view.locator(".dk-rows .dk-row", has=view.page.locator(".dk-current"))).to_have_text("77")
    view.locator(".dk-field").fill("nothing like it")
    expect(view.locator(".dk-hits")).to_have_text("no match")
    view.locator(".dk-field").press("Escape")
    expect(view.locator(".dk-search")).to_be_hidden()
    stop(view)


def test_copy_download_wrap_times_and_clear(shared: NotebookPage) -> None:
    view = follow_in(shared, "tools")
    expect(view.locator(".dk-facts")).to_contain_text("100,001 lines")
    tool(view, "copy").click()
    expect(view.locator(".dk-state")).to_contain_text("Copied 5,000 lines")
    copied = shared.page.evaluate("() => navigator.clipboard.readText()").splitlines()
    assert copied == [*map(str, range(95_002, 100_001)), "x" * 400]
    with shared.page.expect_download() as download:
        tool(view, "download").click()
    saved = download.value.path().read_text()
    assert saved == "".join(f"{number}\n" for number in range(1, 100_001)) + "x" * 400 + "\n"

    wide = view.locator(".dk-rows .dk-row", has_text="xxx")
    height = wide.evaluate("node => node.offsetHeight")
    tool(view, "wrap").click()
    expect(tool(view, "wrap")).to_have_attribute("aria-pressed", "true")
    assert wide.evaluate("node => node.offsetHeight") >= 3 * height
    assert wide.evaluate("node => node.getBoundingClientRect().bottom") <= view.locator(
        ".dk-scroll"
    ).evaluate("node => node.getBoundingClientRect().bottom")
    tool(view, "clock").click()
    expect(wide).to_have_attribute("data-time", re.compile(r"\d\d:\d\d:\d\d\.\d{3}"))
    tool(view, "clear").click()
    expect(rows(view)).to_have_count(0)
    view.locator(".dk-input").fill("after")
    view.locator(".dk-input").press("Enter")
    expect(rows(view)).to_have_text(["after"])
    stop(view)


def test_a_reloaded_page_and_a_second_one_show_the_log_and_keep_it(lab: Lab) -> None:
    notebook, view = follow(lab, "reload", "seq 1 50; read; echo second; read; echo third; read; exit 4")
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


def test_a_page_that_shows_the_saved_log_shows_a_view_in_its_place(lab: Lab) -> None:
    """Such as another page of a shared notebook, which does not trust a cell that it has not run."""
    source = f"{PREPARE.strip()}\nc = FollowedCommand('echo up; read; echo down', 'training')"
    notebook = lab.open_notebook("shared-notebook.ipynb", [source, "print(c.display._view_id)"])
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


def test_keyboard_and_roles(shared: NotebookPage) -> None:
    view = follow_in(shared, "keyboard")
    expect(view).to_have_role("region")
    expect(view).to_have_accessible_name(f"Log of {COMMANDS['keyboard']}")
    expect(view.get_by_role("log")).to_be_visible()
    expect(view.get_by_role("textbox", name="Input to the command")).to_be_visible()
    for name in ("Search", "Wrap lines", "Stop the command", "Download the whole log"):
        expect(view.get_by_role("button", name=name, exact=True)).to_be_visible()
    # A letter typed on a focused button must not reach the notebook, where `a` and `b` insert cells.
    cells = shared.panel.locator(".jp-Notebook .jp-CodeCell").count()
    for focused in (tool(view, "copy"), view.locator(".dk-scroll"), view.locator(".dk-input")):
        focused.focus()
        for key in "abab":
            shared.page.keyboard.press(key)
        expect(focused).to_be_focused()
    assert shared.panel.locator(".jp-Notebook .jp-CodeCell").count() == cells
    expect(view.locator(".dk-input")).to_have_value("abab")
    tool(view, "stop").focus()
    shared.page.keyboard.press("Space")
    expect(view.locator(".dk-state")).to_have_text("stopped")


def test_a_batch_that_overtakes_the_first_answer_costs_no_lines(browser: BrowserContext) -> None:
    """The kernel can send a batch after `present`, before the answer to the view's `read`."""
    module = "data:text/javascript;base64," + base64.b64encode(join_modules().encode()).decode()
    messages = [
        lines_message(7, ["seven", "eight"]),
        lines_message(0, [*map(str, range(7)), "seven", "eight", "nine"]),
        lines_message(10, ["ten"]),
    ]
    page = browser.new_page()
    try:
        page.evaluate(
            """async ([module, messages]) => {
                const { default: widget } = await import(module);
                const state = { command: "c", session: "s", state: "running", exit_code: null, elapsed: 0 };
                const handlers = {};
                let id;
                const model = {
                    get: (name) => state[name],
                    on: (event, handler) => { handlers[event] = handler; },
                    off: () => {},
                    send: (message) => { id = message.view ?? id; },
                };
                widget.render({ model, el: document.body });
                messages[1].to = id;
                for (const message of messages) handlers["msg:custom"](message, []);
            }""",
            [module, messages],
        )
        expect(page.locator(".dk-rows .dk-row")).to_have_text(
            [*map(str, range(7)), "seven", "eight", "nine", "ten"]
        )
    finally:
        page.close()


def lines_message(first: int, lines: list[str]) -> dict[str, Any]:
    count = first + len(lines)
    return {
        "type": "lines",
        "first": first,
        "lines": lines,
        "last": None,
        "times": [[first, 0]],
        "start": 0,
        "count": count,
        "bytes": 10 * count,
        "elapsed": 1,
        "state": "running",
        "exit_code": None,
    }
