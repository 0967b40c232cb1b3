"""The project is in the sandbox before each cell, and cells start in it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from .driver import DEADLINE, Driver, running_kernel, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIST = "print(sorted(name for name in os.listdir('.') if name != '__pycache__'))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "proj"
    (folder / "sub").mkdir(parents=True)
    (folder / "mod.py").write_text("value = 1\n")
    return folder


@pytest.fixture
def kernel(folder: Path) -> Iterator[Driver]:
    notebook = {"JPY_SESSION_NAME": str(folder / "nb.ipynb")}
    (folder / "nb.ipynb").write_text("{}")
    (folder / "other.ipynb").write_text("{}")
    with running_kernel(cwd=folder, DAYTONA_KERNEL_PROJECT=".", **notebook) as driver:
        yield driver


def test_a_cell_finds_what_was_saved_before_it(kernel: Driver, folder: Path) -> None:
    answer = kernel.run("import os, mod, importlib\nprint(os.path.basename(os.getcwd()), mod.value)\n" + LIST)
    assert answer.stdout == "proj 1\n['mod.py', 'other.ipynb', 'sub']\n"
    (folder / "mod.py").write_text("value = 22\n")
    assert kernel.run("importlib.reload(mod).value").result == "22"
    assert kernel.run("%sh cat mod.py").stdout == "value = 22\n"
    # Cells that are sent together run in their order, and each finds what was there when it came.
    (folder / "mod.py").write_text("value = 333\n")
    sent = kernel.send_together(["first = importlib.reload(mod).value", "%sync status", "print(first)"])
    assert [kernel.collect(each) for each in sent][-1].stdout == "333\n"


def test_a_restarted_kernel_sends_nothing_twice(kernel: Driver, folder: Path) -> None:
    kernel.run("import os, time\ninode = os.stat('mod.py').st_ino\nopen('theirs', 'w').close()\nprint(inode)")
    inode = kernel.run("print(inode)").stdout
    kernel.client.stop_channels()
    kernel.manager.restart_kernel()
    kernel.connect()
    (folder / "sub" / "new.py").write_text("n")
    answer = kernel.run(
        "import os\nprint(os.stat('mod.py').st_ino)\nprint(os.listdir('sub'), os.path.exists('theirs'))"
    )
    assert answer.stdout == f"{inode}['new.py'] True\n"


def test_another_sandbox_gets_the_project_again(kernel: Driver) -> None:
    kernel.run("import os\nopen('theirs', 'w').close()")
    kernel.run("%sandbox new")
    assert kernel.run("import os\n" + LIST).stdout == "['mod.py', 'other.ipynb', 'sub']\n"
    kernel.run("%sandbox delete")
    assert kernel.run("import os\n" + LIST).stdout == "['mod.py', 'other.ipynb', 'sub']\n"


def test_a_cell_does_not_run_on_stale_files(kernel: Driver, folder: Path) -> None:
    kernel.run("ran = []\nopen('mod.py', 'w').write('theirs')")
    (folder / "mod.py").write_text("value = 4444\n")
    sent = kernel.send_together(["ran.append(1)", "ran.append(2)"])
    first, second = [kernel.collect(each) for each in sent]
    assert first.error["ename"] == "FileTransferError"
    assert "mod.py was changed both here and in the sandbox" in first.error["evalue"]
    assert first.error["evalue"].endswith("The project was not sent, so the cell has not run.")
    assert len(first.error["traceback"]) == 1
    assert second.reply["status"] == "aborted"
    assert "Overwritten: mod.py" in kernel.run("%sync pull --force").stdout
    assert (folder / "mod.py").read_text() == "theirs"
    assert kernel.run("ran").result == "[]"


def test_a_long_push_shows_its_progress_and_can_be_interrupted(kernel: Driver, folder: Path) -> None:
    kernel.run("x = 1")
    (folder / "large").touch()
    os.truncate(folder / "large", 1_200_000_000)  # sparse
    answer, _ = kernel.interrupt_when("display_data", "x = 2")
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert "still on its way" in answer.error["evalue"]
    (shown,) = answer.contents("display_data")
    assert "Sending 1 file of the project" in shown["data"]["text/plain"]
    (folder / "large").unlink()
    assert (
        kernel.run("import os\nx, sorted(os.listdir('.'))").result == "(1, ['mod.py', 'other.ipynb', 'sub'])"
    )


def test_cells_start_in_the_notebooks_folder_of_a_larger_project(folder: Path) -> None:
    with running_kernel(cwd=folder / "sub", DAYTONA_KERNEL_PROJECT="..") as kernel:
        answer = kernel.run("import os, sys\nprint(os.getcwd().split('/')[-2:], sorted(os.listdir('..')))")
        assert answer.stdout == "['proj', 'sub'] ['mod.py', 'sub']\n", answer
        answer = kernel.run("sys.path.insert(0, os.path.abspath('..'))\nimport mod\nmod.value")
        assert answer.result == "1"


def test_a_wrong_project_gives_one_sentence(folder: Path) -> None:
    with running_kernel(cwd=folder, DAYTONA_KERNEL_PROJECT="nowhere") as kernel:
        error = kernel.run("1").error
        assert error["ename"] == "MagicUsageError"
        assert f"The project's folder {folder}/nowhere does not exist." in error["evalue"]
        assert kernel.run("%sandbox").reply["status"] == "ok"


def test_a_notebook_cannot_name_the_project(folder: Path) -> None:
    notebook = folder / "nb.ipynb"
    notebook.write_text(json.dumps({"metadata": {"daytona": {"project": "."}}, "cells": []}))
    with running_kernel(cwd=folder, JPY_SESSION_NAME=str(notebook)) as kernel:
        error = kernel.run("1").error
        assert error["ename"] == "SettingError"
        assert "project is never taken from here" in error["evalue"]


def test_a_front_ends_own_request_does_not_wait_for_the_project(kernel: Driver, folder: Path) -> None:
    kernel.run("import os")
    (folder / "later").touch()
    content = {"code": "", "silent": True, "user_expressions": {"there": "os.path.exists('later')"}}
    reply = kernel.reply(kernel.send_message("execute_request", content))
    assert reply["user_expressions"]["there"]["data"]["text/plain"] == "False"
    wait_until(lambda: kernel.run("os.path.exists('later')").result == "True", DEADLINE)
