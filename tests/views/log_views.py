"""Log views in JupyterLab, and what a test finds in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.views.pages import PREPARE

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser import Lab, NotebookPage
    from tests.lab_server import RunningKernel


def follow(
    lab: Lab, name: str, command: str, *more: str, kernel: str | RunningKernel = "python3"
) -> tuple[NotebookPage, Locator]:
    """Open a notebook that follows a command, and return it with the view."""
    source = f"{PREPARE.strip()}\nc = FollowedCommand({command!r}, 'training')"
    notebook = lab.open_notebook(f"{name}.ipynb", [source, *more], kernel)
    notebook.run(0)
    view = notebook.output(0).locator(".dk-log")
    expect(view.locator(".dk-command")).to_be_visible(timeout=15_000)
    return notebook, view


def tool(view: Locator, name: str) -> Locator:
    """Return a button of a view."""
    return view.locator(f".dk-button[data-name={name}]")


def rows(view: Locator) -> Locator:
    """Return the lines that a view shows."""
    return view.locator(".dk-rows .dk-row")


def outputs(notebook: dict[str, Any], index: int = 0) -> set[str]:
    """Return the MIME types of a cell's outputs in a saved notebook."""
    return {mime for output in notebook["cells"][index]["outputs"] for mime in output.get("data", {})}
