"""How a reader uses the view of a log in JupyterLab, in a real browser."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from daytona_kernel.views.log_view import join_modules
from tests.views.log_views import follow, outputs, rows, tool
from tests.views.pages import PREPARE

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator

    from tests.browser import Lab, NotebookPage
    from tests.lab_server import RunningKernel

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
def prepared(lab_page: Lab, shared_ipykernel: RunningKernel) -> NotebookPage:
    """One notebook with a cell for each command."""
    cells = [f"c = FollowedCommand({command!r})" for command in COMMANDS.values()]
    notebook = lab_page.open_notebook("shared.ipynb", [PREPARE, *cells], shared_ipykernel)
    notebook.run(0)
    return notebook


@pytest.fixture
def shared(prepared: NotebookPage) -> NotebookPage:
    """The same notebook, also after a test that opened another one."""
    prepared.show()
    return prepared


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


def test_a_command_is_live_while_cells_run_and_its_log_stays(
    lab: Lab, shared_ipykernel: RunningKernel
) -> None:
    notebook, view = follow(
        lab, "live", TRAINING, "import time; time.sleep(0.5); 6 * 7", kernel=shared_ipykernel
    )
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
    # Lines are drawn after they are counted. Without them, the wheel would scroll the page.
    is_long = "node => node.scrollHeight > 2 * node.clientHeight"
    shared.page.wait_for_function(is_long, arg=scroll.element_handle())
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
