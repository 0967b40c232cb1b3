"""The delay from a key to its letter on the screen, beside live logs in JupyterLab: prints a Markdown table.

    python -m benchmarks.keystrokes

One notebook follows commands that print as fast as they can, one after the other and at last twenty at
once, while a person types into a cell. It needs Chromium.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser import new_page, run_chromium
from tests.lab_server import run_lab_server

if TYPE_CHECKING:
    from tests.browser import NotebookPage

FLOODS = {
    "no log": None,
    "`yes`": "yes",
    "a progress bar, 1,000 times a second": "while :; do printf '\\rdone %d' $((i++)); sleep 0.001; done",
    "1,000,000 lines": "seq 1 1000000; read",
    "50 MB in one line": "head -c 50000000 /dev/zero | tr '\\0' x; read",
    "20 commands, each 2,000 lines a second": "while :; do seq 1 200; sleep 0.1; done",
}
VIEWS = {"20 commands, each 2,000 lines a second": 20}
KEYS = "abcdefghijklmnopqrst"
PAUSE_MS = 60

# A letter is on the screen in the frame after the one that follows the change of the document.
WATCH = """node => {
    window.delays = [];
    let pressed = null;
    const painted = () => requestAnimationFrame(() => delays.push(performance.now() - pressed));
    node.addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
    new MutationObserver(() => pressed !== null && requestAnimationFrame(painted)).observe(
        node, { childList: true, characterData: true, subtree: true });
}"""


def cell_source(name: str) -> str:
    """Return a cell that starts the commands of a flood."""
    command, key = FLOODS[name], list(FLOODS).index(name)
    if command is None:
        return "1"
    sessions = [f"f{key}n{number}" for number in range(VIEWS.get(name, 1))]
    return "\n".join(f"%session create {each}\n%session run {each} --async {command}" for each in sessions)


def measure(notebook: NotebookPage, index: int) -> list[float]:
    """Type into a cell, and return the delays in milliseconds, sorted."""
    editor = notebook.editor(index)
    editor.click()
    for key in KEYS:
        notebook.page.keyboard.press(key)
        notebook.page.wait_for_timeout(PAUSE_MS)
    # A busy page can show several keys with one change.
    notebook.page.wait_for_function("() => delays.length >= 10")
    delays: list[float] = notebook.page.evaluate("() => delays.splice(0)")
    return sorted(delays)


def main() -> None:
    """Measure and print all floods."""
    print("| | median | 90 % | worst |\n|---|---:|---:|---:|")
    with (
        tempfile.TemporaryDirectory() as directory,
        run_lab_server(Path(directory) / "lab") as server,
        run_chromium(1100, 900) as chromium,
        new_page(server, chromium) as lab,
    ):
        sources = [cell_source(name) for name in FLOODS]
        notebook = lab.open_notebook("keystrokes.ipynb", [*sources, "# ", "%session delete --all"], "daytona")
        editor, delete = len(FLOODS), len(FLOODS) + 1
        notebook.editor(editor).evaluate(WATCH)
        for index, name in enumerate(FLOODS):
            notebook.run(index, timeout=120)
            delays = measure(notebook, editor)
            late = delays[int(len(delays) * 0.9)]
            print(
                f"| {name} | {statistics.median(delays):.0f} ms | {late:.0f} ms | {delays[-1]:.0f} ms |",
                flush=True,
            )
            notebook.run(delete, timeout=120)


if __name__ == "__main__":
    main()
