"""The sandbox has the person's folder, and tries to plant there what the person's programs would run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.isolation import needs_bubblewrap
from tests.kernel.driver import Driver, running_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTECTED = {
    ".git/hooks/pre-commit": "mine",
    ".git/config": "mine",
    ".vscode/settings.json": "{}",
    ".envrc": "mine",
    ".venv/pyvenv.cfg": "home = /usr",
    ".venv/bin/python": "mine",
    "env/pyvenv.cfg": "home = /usr",
    "env/bin/activate": "mine",
    "nb.ipynb": "{}",
    "reports/week.ipynb": "{}",
    "lib/module/.git/config": "mine",
}
ATTACK = """
import os, pathlib, shutil
def attempt(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return error.errno
    return 0
def plant(path):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        file.write("evil")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for place, text in {**PROTECTED, "data/x.csv": "1", "lib/plain/y.py": "2", "a.py": "3"}.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text)
    (tmp_path / "secret").write_text("canary")
    (folder / "out").symlink_to(tmp_path)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():  # modes protect nothing: root's sandboxes have another user
            path.chmod(0o777 if path.is_dir() else 0o666)
    return folder


@pytest.fixture
def kernel(folder: Path) -> Iterator[Driver]:
    needs_bubblewrap()
    with running_kernel(cwd=folder, DAYTONA_KERNEL_PROJECT="mount") as driver:
        driver.run(ATTACK)
        yield driver


def contents(folder: Path) -> dict[str, str]:
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            found[str(path.relative_to(folder))] = path.read_text()
    return found


def test_what_the_persons_programs_run_cannot_be_changed(kernel: Driver, folder: Path) -> None:
    before = contents(folder)
    answer = kernel.run(f"print({{place: attempt(plant, place) for place in {list(PROTECTED)!r}}})")
    assert set(eval(answer.stdout).values()) == {30}, answer.stdout  # noqa: S307  # EROFS, printed by this test
    # Nor can something new be put beside it, nor a folder on the way to it be exchanged.
    names = [
        ".git/hooks/new",
        ".idea/x",
        ".gitattributes",
        "new.ipynb",
        "conftest.py",
        "json.py",
        "lib/.git/config",
    ]
    answer = kernel.run(f"print({{attempt(plant, place) for place in {names!r}}})")
    assert answer.stdout == "{30}\n"
    moves = [
        ("lib", "lib2"),
        ("lib/module", "lib/module2"),
        ("reports", "r"),
        ("env", "e"),
        (".git", "g"),
        ("data", "d"),
    ]
    answer = kernel.run(f"print({{attempt(os.rename, *move) for move in {moves!r}}})")
    assert eval(answer.stdout) <= {16, 30}, answer.stdout  # noqa: S307  # EBUSY, EROFS
    kernel.run("shutil.rmtree('.', ignore_errors=True)")
    left = contents(folder)
    assert {place: text for place, text in left.items() if place not in ("data/x.csv", "lib/plain/y.py")} == {
        place: text for place, text in before.items() if place not in ("data/x.csv", "lib/plain/y.py")
    }


def test_a_notebook_that_is_saved_again_stays_protected(kernel: Driver, folder: Path) -> None:
    """Jupyter saves by a rename, which would remove a mount on the notebook itself."""
    (folder / "saved").write_text("{ }")
    (folder / "saved").replace(folder / "nb.ipynb")
    (folder / "later.ipynb").write_text("{}")
    (folder / "later.ipynb").chmod(0o666)
    (folder / ".later").mkdir(mode=0o777)
    answer = kernel.run(
        "print([attempt(plant, name) for name in ('nb.ipynb', 'later.ipynb', '.later/x')])\n"
        "print(open('nb.ipynb').read())"
    )
    assert answer.stdout == "[30, 30, 30]\n{ }\n"


def test_the_plain_folders_are_shared(kernel: Driver, folder: Path) -> None:
    answer = kernel.run("plant('data/deep/result.csv'); plant('lib/plain/y.py'); print(open('a.py').read())")
    assert answer.stdout == "3\n"
    assert (folder / "data" / "deep" / "result.csv").read_text() == "evil"
    assert (folder / "lib" / "plain" / "y.py").read_text() == "evil"


def test_no_link_gives_more_than_the_folder(kernel: Driver, folder: Path) -> None:
    home = str(Path.home())
    answer = kernel.run(
        f"os.symlink({home!r}, 'data/home'); os.symlink('../..', 'data/up')\n"
        "print([attempt(open, name) for name in ('out/secret', 'data/up/secret', 'data/up/../secret')])\n"
        "print(os.listdir(os.path.dirname(os.getcwd())), attempt(plant, 'out/planted'))"
    )
    lines = answer.stdout.splitlines()
    assert lines[0] == "[2, 2, 2]"
    assert lines[1].startswith("['project'] ")
    # What the sandbox makes behind the link is in its own file system.
    assert sorted(each.name for each in folder.parent.iterdir()) == ["project", "secret"]
    assert not os.path.lexists(Path.home() / "planted")


def test_read_only_means_read_only(folder: Path) -> None:
    needs_bubblewrap()
    with running_kernel(cwd=folder, DAYTONA_KERNEL_PROJECT="mount-ro") as kernel:
        kernel.run(ATTACK)
        answer = kernel.run(
            "print([attempt(plant, name) for name in ('data/x.csv', 'data/new', 'new', 'nb.ipynb')])"
        )
        assert answer.stdout == "[30, 30, 30, 30]\n"
        assert kernel.run("open('data/x.csv').read()").result == "'1'"


@pytest.mark.parametrize("isolation", ["none", "landlock"])
def test_without_bubblewrap_nothing_runs(folder: Path, isolation: str) -> None:
    settings = {"DAYTONA_KERNEL_PROJECT": "mount", "DAYTONA_KERNEL_ISOLATION": isolation}
    with running_kernel(cwd=folder, **settings) as kernel:
        error = kernel.run("open('ran', 'w')").error
        assert error["ename"] == "IsolationError"
        assert "Nothing has run" in error["evalue"]
        assert not (folder / "ran").exists()


def test_a_notebook_cannot_ask_for_a_mount(folder: Path) -> None:
    (folder / "nb.ipynb").write_text('{"metadata": {"daytona": {"project": "mount"}}, "cells": []}')
    with running_kernel(cwd=folder, JPY_SESSION_NAME=str(folder / "nb.ipynb")) as kernel:
        assert "project is never taken from here" in kernel.run("1").error["evalue"]
