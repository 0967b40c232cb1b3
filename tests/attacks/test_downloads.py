"""The sandbox answers a download with other files than the person asked for: they do not arrive."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.errors import FileTransferError
from daytona_kernel.magics.copying.local_files import Download, Room
from tests.kernel.driver import Driver, running_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Lists the requested files together with others, in the format of the system's find.
EVIL_FIND = r"""#!/bin/sh
case "$*" in *"-maxdepth 0"*) exit 0;; esac
printf 'd 755 1 0 /workspace/results\0>\0f 755 5 0 /workspace/results/r.csv\0>\0\0'
printf '/workspace/comm.py\0f 755 5 0 /workspace/comm.py\0>\0'
"""
FILES = (
    "r.csv", "run.sh", ".envrc", ".git/hooks/post-checkout", "deep/.hidden/x", "deep/json.py",
    "comm.py", "conftest.py", "jupyter_server_config.py", "pandas/__init__.py", "pandas/x.py",
    "__pycache__/r.cpython-311.pyc",
)  # fmt: skip


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def kernel(notebook: Path) -> Iterator[Driver]:
    with running_kernel(cwd=notebook) as driver:
        driver.run(
            "import os, pathlib\nos.makedirs('/workspace/results'); os.chdir('/workspace')\n"
            f"for name in {FILES}:\n"
            "    path = pathlib.Path('results', name)\n"
            "    path.parent.mkdir(parents=True, exist_ok=True)\n"
            "    path.write_text('evil\\n'); path.chmod(0o755)\n"
            "pathlib.Path('comm.py').write_text('evil\\n')",
        )
        yield driver


@pytest.fixture
def here(notebook: Path, request: pytest.FixtureRequest) -> Path:
    folder = notebook / f"{request.node.originalname}{len(list(notebook.iterdir()))}"
    folder.mkdir()
    return folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def programs(folder: Path) -> set[str]:
    return {name for name in names(folder) if os.access(folder / name, os.X_OK)}


def test_a_program_of_the_sandbox_does_not_choose_the_sources(
    kernel: Driver, notebook: Path, here: Path
) -> None:
    kernel.run(
        "import shutil\nfor folder in os.environ['PATH'].split(':')[:1]:\n"
        "    for name in ('find', 'base64', 'readlink', 'stat'):\n"
        f"        p = pathlib.Path(folder, name); p.write_text({EVIL_FIND!r}); p.chmod(0o755)"
    )
    assert "/workspace/comm.py" in kernel.run("%sh find").stdout
    assert kernel.run(f"%download /workspace/results/r.csv {here}/mine.csv").reply["status"] == "ok"
    assert names(here) == {"mine.csv"}
    assert "comm.py" not in names(notebook)


def test_a_named_folder_brings_no_hidden_files_and_no_programs(kernel: Driver, here: Path) -> None:
    answer = kernel.run(f"%download /workspace/results {here}/")
    assert names(here / "results") == {
        "r.csv", "run.sh", "deep/json.py", "comm.py", "conftest.py", "jupyter_server_config.py",
        "pandas/__init__.py", "pandas/x.py", "__pycache__/r.cpython-311.pyc",
    }  # fmt: skip
    assert programs(here) == set()
    assert "Left out hidden names" in answer.stderr
    assert "/workspace/results/.envrc" in answer.stderr
    assert "--all" in answer.stderr


def test_nothing_that_runs_by_itself_is_added_to_a_folder(kernel: Driver, here: Path) -> None:
    (here / "results").mkdir()
    (here / "results" / "deep").mkdir()
    answer = kernel.run(f"%download /workspace/results {here}")
    assert names(here / "results") == {"r.csv", "run.sh"}
    assert "/workspace/results/__pycache__ and 6 more" in answer.stderr


def test_a_pattern_brings_no_name_that_runs_by_itself(kernel: Driver, here: Path) -> None:
    kernel.run(f"%download /workspace/results/* {here}")
    assert names(here) == {"r.csv", "run.sh", "deep/json.py"}
    kernel.run(f"%download /workspace/results/*.py {here}/")
    assert names(here) == {"r.csv", "run.sh", "deep/json.py"}
    assert programs(here) == set()
    answer = kernel.run(f"%download /workspace/results/.e* {here}/")
    assert "There is nothing to copy without --all" in answer.error["evalue"]


def test_a_file_that_the_person_names_is_copied_as_it_is(kernel: Driver, here: Path) -> None:
    for name in (".envrc", "run.sh", "comm.py"):
        assert kernel.run(f"%download /workspace/results/{name} {here}/").reply["status"] == "ok"
    assert names(here) == programs(here) == {".envrc", "run.sh", "comm.py"}
    kernel.run(f"%download /workspace/results {here}/ --all")
    assert names(here / "results") == programs(here / "results") == set(FILES)


@pytest.mark.parametrize("word", [".", "..", "~", "./", "results/..", "/workspace/results/."])
def test_a_folder_without_a_name_needs_one(kernel: Driver, here: Path, word: str) -> None:
    # The sandbox says which directory is the current one, and so would choose the name.
    kernel.run("os.makedirs('/workspace/.git/results', exist_ok=True); os.chdir('/workspace/.git')")
    answer = kernel.run(f"%download {word} {here}")
    assert "needs a name" in answer.error["evalue"]
    assert list(here.iterdir()) == []


def test_links_stay_in_the_copy(kernel: Driver, here: Path) -> None:
    kernel.run(
        "os.chdir('/workspace'); os.makedirs('links/a/b'); pathlib.Path('links/a/b/file').write_text('x')\n"
        "for path, target in {'to': 'a/b/file', 'folder': 'a', 'a/up': '../to', 'chain': './a/up',\n"
        "    'etc': '/etc', 'out': '../../x', 'a/out': '../..', 'through': 'folder/b/file', 'dot': '.',\n"
        "    'climb': 'folder/../../x', 'self': 'self', 'gone': 'nothing', 'a/.hidden': 'b',\n"
        "    'hid': 'a/.hidden'}.items():\n"
        "    os.symlink(target, f'links/{path}')"
    )
    answer = kernel.run(f"%download links {here}/")
    found = {each.name: str(each.readlink()) for each in (here / "links").iterdir() if each.is_symlink()}
    assert found == {"to": "a/b/file", "folder": "a", "chain": "a/up"}
    assert str((here / "links" / "a" / "up").readlink()) == "../to"
    assert (here / "links" / "chain").read_text() == "x"
    assert "links that lead elsewhere" in answer.stderr
    # And back: the links arrive in the sandbox.
    kernel.run(f"%upload {here}/links again/")
    assert kernel.run("open('/workspace/again/links/chain').read()").result == "'x'"
    assert kernel.run(f"%download links {here}/ --force").reply["status"] == "ok"
    assert kernel.run(f"%upload {here}/links again/ --force").reply["status"] == "ok"
    assert "already exist" in kernel.run(f"%upload {here}/links again/").error["evalue"]


def test_a_download_does_not_fill_the_disk(kernel: Driver, here: Path) -> None:
    """The files in the sandbox are sparse, so they need no room there."""
    free = shutil.disk_usage(here).free
    count = free // (1 << 33) + 1
    answer = kernel.run(
        "folder = pathlib.Path('/workspace/huge'); folder.mkdir()\n"
        f"for n in range({count}): (folder / str(n)).touch(); os.truncate(folder / str(n), 1 << 33)"
    )
    assert answer.reply["status"] == "ok"
    error = kernel.run(f"%download /workspace/huge {here}/huge").error
    assert error["ename"] == "FileTransferError"
    assert re.fullmatch(
        r"The download has [\d.,]+ \wB, and the disk of .* has room for [\d.,]+ \wB. Nothing was copied. "
        "Make room, or copy less at a time.",
        error["evalue"],
    ), error["evalue"]
    assert names(here) == set()


def test_a_sandbox_that_sends_more_than_it_said_is_stopped(here: Path) -> None:
    room = Room("/a", free=1000)
    room.require(900)
    received: list[int] = []
    with (here / "file").open("wb") as file:
        sink = Download(file, received.append, room)
        sink.write(b"x" * 800)
        sink.reset()
        sink.write(b"x" * 800)
        with pytest.raises(FileTransferError, match="sent more than it had announced"):
            sink.write(b"x" * 101)
    assert (here / "file").stat().st_size == received[-1] == 800
