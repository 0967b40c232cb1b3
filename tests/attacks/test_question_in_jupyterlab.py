"""The kernel's question in JupyterLab: a person sees what would happen, and the answer decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser import Lab


def test_a_person_is_asked_and_the_answer_decides(lab: Lab) -> None:
    secret = Path(lab.server.root) / "secret.txt"
    secret.write_text("canary")
    cells = [
        f"path = {str(secret)!r}\n%upload {{path}} /tmp/stolen.txt",
        "import os; os.path.exists('/tmp/stolen.txt')",
    ]
    notebook = lab.open_notebook("question.ipynb", cells, kernel="daytona")
    for answer, shown in (("no", "You did not allow it"), ("yes", "Uploaded 1 file")):
        notebook.start(0)
        prompt = notebook.cell(0).locator(".jp-Stdin-prompt")
        expect(prompt).to_contain_text(f"on this machine: '{secret}'")
        expect(prompt).to_contain_text("Allow it? [yes / no / all")
        field = notebook.cell(0).locator(".jp-Stdin-input")
        field.fill(answer)
        field.press("Enter")
        expect(notebook.cell(0).locator(".jp-OutputArea").last).to_contain_text(shown)
    notebook.run(1)
    expect(notebook.output(1)).to_have_text("True")
