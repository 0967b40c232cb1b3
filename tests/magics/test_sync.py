"""`%sync`: the project goes to the sandbox and comes back, and nobody's work is lost."""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING

import pytest

from tests.kernel.driver import Driver, running_kernel

from .conftest import failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work") / "my project"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Driver]:
    """A kernel that copies the project only when `%sync` says so."""
    with running_kernel(cwd=folder) as driver:
        driver.run("import os, pathlib, time\nP = pathlib.Path\nstart = os.getcwd()")
        yield driver


@pytest.fixture
def kernel(running: Driver, folder: Path) -> Driver:
    """The kernel with an empty project on both sides; the copy is the current directory."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    (folder / "kept.txt").write_text("kept")
    running.run("os.chdir(start)")
    running.run("%sync push --force --delete")
    running.run(
        "os.chdir(P(start, 'my project'))\nimport shutil\n"
        "for p in P('.').iterdir():\n"
        "    if p.name != 'kept.txt': shutil.rmtree(p) if p.is_dir() and not p.is_symlink() else p.unlink()"
    )
    return running


def there(kernel: Driver) -> dict[str, bytes]:
    """Return the files of the copy."""
    printed = kernel.run(
        "print({str(p): p.read_bytes() for p in sorted(P('.').rglob('*')) if p.is_file()})"
    ).stdout
    found: dict[str, bytes] = ast.literal_eval(printed)
    assert found.pop("kept.txt") == b"kept"
    return found


def here(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "kept.txt"
    }


def test_only_changes_travel(kernel: Driver, folder: Path) -> None:
    (folder / "a.py").write_text("a")
    (folder / "in" / "deep").mkdir(parents=True)
    (folder / "in" / "deep" / "ünï'\" code$.txt").write_text("u")
    (folder / "large.bin").write_bytes(os.urandom(3 << 20))
    (folder / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "large.sh").write_bytes(b"#" * (2 << 20))
    (folder / "large.sh").chmod(0o755)
    assert "Sent 5 files (5.2 MB)" in kernel.run("%sync").stdout
    assert there(kernel) == here(folder)
    assert kernel.run("%sh ./run.sh; test -x large.sh && echo too").stdout == "ran\ntoo\n"
    assert "Sent 0 files" in kernel.run("%sync").stdout
    (folder / "a.py").write_text("b")
    for name in ("run.sh", "large.bin"):
        os.utime(folder / name)  # another time, and the same content
    assert "Sent 1 file (1 B)" in kernel.run("%sync").stdout
    (folder / "run.sh").chmod(0o644)
    assert "Sent 1 file" in kernel.run("%sync").stdout
    assert there(kernel) == here(folder)
    assert kernel.run("%sh test -x run.sh || echo plain").stdout == "plain\n"


def test_what_is_left_out(kernel: Driver, folder: Path) -> None:
    (folder / ".gitignore").write_text("data/\n*.log\n")
    (folder / ".daytonaignore").write_text("!data/\n!.env\n")
    (folder / "data").mkdir()
    for name in (".env", "server.key", "data/a.csv", "x.log", "a.py"):
        (folder / name).write_text(name)
    answer = kernel.run("%sync")
    assert there(kernel).keys() == {".gitignore", ".daytonaignore", "data/a.csv", "a.py"}
    assert "Left out, because it looks like a secret: .env, server.key" in answer.stdout
    assert "Sent 1 file" in kernel.run("%sync push .env").stdout
    assert there(kernel)[".env"] == b".env"
    (folder / ".env").write_text("changed")
    kernel.run("%sync")
    assert there(kernel)[".env"] == b"changed"
    assert failure(kernel, "%sync push /etc/passwd")[0] == "MagicUsageError"
    assert failure(kernel, "%sync push nowhere.txt")[0] == "DaytonaFileNotFoundError"


def test_what_both_sides_have_changed_is_not_overwritten(kernel: Driver, folder: Path) -> None:
    (folder / "a.py").write_text("first")
    kernel.run("%sync")
    kernel.run("P('a.py').write_text('theirs'); P('new.txt').write_text('theirs')")
    (folder / "a.py").write_text("mine!")
    (folder / "new.txt").write_text("mine")
    (folder / "other.py").write_text("other")
    name, sentence = failure(kernel, "%sync")
    assert name == "FileTransferError"
    assert "a.py, new.txt were changed both here and in the sandbox" in sentence
    assert "%sync push --force" in sentence
    assert "other.py" not in there(kernel)
    answer = kernel.run("%sync pull")
    assert "Newer here, and kept; --force overwrites: a.py, new.txt" in answer.stdout
    assert here(folder) == {"a.py": b"mine!", "new.txt": b"mine", "other.py": b"other"}
    kernel.run("%sync push --force")
    assert there(kernel) == here(folder)
    assert kernel.run("list(P('.').glob('.daytona*'))").result == "[]"


def test_a_pull_brings_back_what_has_changed(kernel: Driver, folder: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        (folder / name).write_text("first")
    kernel.run("%sync")
    kernel.run(
        "P('a.py').write_text('second'); P('out').mkdir(); P('out/r.csv').write_text('1')\n"
        "os.utime('b.py'); P('c.py').unlink()"
    )
    shown = kernel.run("%sync pull --dry-run").stdout
    assert "Would be overwritten: a.py" in shown
    assert "2 files (7 B) would be pulled" in shown
    assert "Gone in the sandbox, and kept; --delete deletes: c.py" in shown
    assert here(folder) == {"a.py": b"first", "b.py": b"first", "c.py": b"first"}
    assert "Pulled 1 file" in kernel.run("%sync pull out").stdout
    answer = kernel.run("%sync pull --delete")
    assert "Overwritten: a.py" in answer.stdout
    assert "Deleted: c.py" in answer.stdout
    assert here(folder) == {"a.py": b"second", "b.py": b"first", "out/r.csv": b"1"}
    assert "Pulled 0 files" in kernel.run("%sync pull").stdout
    assert "Sent 0 files" in kernel.run("%sync").stdout
    assert failure(kernel, "%sync pull nothing.csv")[0] == "DaytonaFileNotFoundError"
    for word in ("..", "/etc/passwd", "out/../../x"):
        assert failure(kernel, f"%sync pull {word}")[0] == "MagicUsageError"


def test_deletions_are_followed_when_asked_for(kernel: Driver, folder: Path) -> None:
    (folder / "in").mkdir()
    (folder / "in" / "a.py").write_text("a")
    kernel.run("%sync")
    kernel.run("P('theirs.txt').write_text('t')")
    (folder / "in" / "a.py").unlink()
    (folder / "in").rmdir()
    assert "Gone here, and kept there; --delete deletes: in, in/a.py" in kernel.run("%sync").stdout
    assert there(kernel).keys() == {"in/a.py", "theirs.txt"}
    assert "Deleted there: in, in/a.py" in kernel.run("%sync --delete").stdout
    assert there(kernel) == {"theirs.txt": b"t"}


def test_status_lists_both_sides(kernel: Driver, folder: Path) -> None:
    for name in ("a.py", "b.py", "c.py", "d.py"):
        (folder / name).write_text("first")
    kernel.run("%sync")
    kernel.run("P('b.py').write_text('t'); P('c.py').write_text('t'); P('n.txt').touch(); P('d.py').unlink()")
    for name in ("a.py", "c.py"):
        (folder / name).write_text("mine")
    (folder / "id_rsa").write_text("s")
    lines = kernel.run("%sync status").stdout.splitlines()
    assert lines[1:] == [
        "Changed here: a.py, c.py",
        "New in the sandbox: n.txt",
        "Changed in the sandbox: b.py",
        "Changed on both sides: c.py",
        "Gone in the sandbox: d.py",
        "Left out, because it looks like a secret: id_rsa",
        "5 files (22 B) in the project.",
    ]
    assert "my project is copied to" in lines[0]


def test_a_broken_push_is_continued(kernel: Driver, folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "x").write_text("x")
    (folder / "b").write_text("b")
    kernel.run("P('a').write_text('in the way')")
    name, sentence = failure(kernel, "%sync")
    assert name == "FileTransferError"
    assert "a" in sentence
    kernel.run("P('a').unlink()")
    kernel.run("%sync")
    assert there(kernel) == here(folder)


def test_a_thousand_files_go_together(kernel: Driver, folder: Path) -> None:
    (folder / "many").mkdir()
    for number in range(1000):
        (folder / "many" / f"{number}.txt").write_text(str(number))
    assert "Sent 1,000 files" in kernel.run("%sync").stdout
    assert there(kernel) == here(folder)
    for number in range(1000):
        (folder / "many" / f"{number}.txt").write_text(f"{number}!")
    assert "Sent 1,000 files" in kernel.run("%sync").stdout
    assert there(kernel) == here(folder)
