"""Copies between this machine and the sandbox: they work as `cp` does and stay in their target."""

from __future__ import annotations

import ast
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from daytona_kernel.magics.copying.local_files import is_safe
from daytona_kernel.wire.paths import complete_path
from tests.conftest import both_profiles
from tests.kernel.driver import Driver, running_kernel, wait_until

from .conftest import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count()


@pytest.fixture(scope="module")
def notebook_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def kernel(notebook_folder: Path, profile: str) -> Iterator[Driver]:
    with running_kernel(cwd=notebook_folder, DAYTONA_KERNEL_PROFILE=profile) as driver:
        driver.run("import os, pathlib\nP = pathlib.Path\nhome = os.getcwd()")
        yield driver


@pytest.fixture
def here(notebook_folder: Path) -> Path:
    """A folder on this machine for one test, beside the notebook."""
    folder = notebook_folder / f"test{next(_numbers)}"
    folder.mkdir()
    return folder


@pytest.fixture
def there(kernel: Driver, here: Path) -> str:
    """A folder in the sandbox for one test; it is the current directory."""
    return kernel.run(
        f"os.chdir(home); os.mkdir('{here.name}'); os.chdir('{here.name}')\nos.getcwd()"
    ).result[1:-1]


def tree(folder: Path) -> dict[str, bytes | None]:
    """Return the contents of a folder: the bytes of files, None for folders."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def remote_tree(kernel: Driver, folder: str = ".") -> dict[str, bytes | None]:
    """Return the contents of a folder in the sandbox."""
    code = (
        f"_ = P({folder!r})\nprint({{str(p.relative_to(_)): None if p.is_dir() else p.read_bytes() "
        "for p in sorted(_.rglob('*'))})"
    )
    found: dict[str, bytes | None] = ast.literal_eval(kernel.run(code).stdout)
    return found


def test_a_file_goes_there_and_back(kernel: Driver, here: Path, there: str) -> None:
    (here / "a.txt").write_bytes(b"hello")
    answer = kernel.run(f"%upload {here.name}/a.txt")
    assert answer.stdout == f"Uploaded 1 file (5 B) to {there}/a.txt.\n"
    assert not answer.stderr
    assert not answer.contents("display_data")
    assert remote_tree(kernel) == {"a.txt": b"hello"}
    answer = kernel.run(f"%download a.txt {here.name}/b.txt")
    assert answer.stdout == f"Downloaded 1 file (5 B) to {here}/b.txt.\n"
    assert tree(here) == {"a.txt": b"hello", "b.txt": b"hello"}


def test_a_download_without_a_target_goes_beside_the_notebook(
    kernel: Driver, here: Path, there: str, notebook_folder: Path
) -> None:
    kernel.run("P('only.txt').write_text('x')")
    assert (
        kernel.run("%download only.txt").stdout == f"Downloaded 1 file (1 B) to {notebook_folder}/only.txt.\n"
    )
    assert (notebook_folder / "only.txt").read_text() == "x"


def test_folders_keep_their_files_empty_folders_and_modes(kernel: Driver, here: Path, there: str) -> None:
    data = here / "data"
    (data / "deep" / "er").mkdir(parents=True)
    (data / "empty").mkdir()
    (data / "deep" / "er" / "file").write_bytes(os.urandom(1000))
    (data / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (data / "run.sh").chmod(0o755)
    (data / "nothing").touch()
    assert kernel.run(f"%upload {here}/data").stdout == f"Uploaded 3 files (1.0 kB) to {there}/data.\n"
    assert remote_tree(kernel, "data") == tree(data)
    assert kernel.run("%sh data/run.sh; ls -A").stdout == "ran\ndata\n"
    assert (
        kernel.run(f"%download data {here}/back").stdout == f"Downloaded 3 files (1.0 kB) to {here}/back.\n"
    )
    assert tree(here / "back") == tree(data)
    assert not os.access(here / "back" / "run.sh", os.X_OK)
    kernel.run(f"%download data {here}/programs --all")
    assert os.access(here / "programs" / "run.sh", os.X_OK)
    assert not os.access(here / "programs" / "nothing", os.X_OK)


def test_the_target_is_a_folder_or_a_new_name(kernel: Driver, here: Path, there: str) -> None:
    for name in ("a", "b"):
        (here / name).write_text(name)
    kernel.run(f"%upload {here}/a {here}/b new/both")
    kernel.run(f"%upload {here}/a renamed")
    kernel.run(f"%upload {here}/b new")
    kernel.run(f"%upload {here}/b slash/")
    assert remote_tree(kernel) == {
        "new": None,
        "new/b": b"b",
        "new/both": None,
        "new/both/a": b"a",
        "new/both/b": b"b",
        "renamed": b"a",
        "slash": None,
        "slash/b": b"b",
    }
    kernel.run(f"%download new/both/a new/both/b {here}/new/both")
    kernel.run(f"%download renamed {here}/new")
    kernel.run(f"%download renamed {here}/slash/")
    kernel.run(f"%download {there}/new/both {here}/copy")
    assert tree(here / "new") == {"both": None, "both/a": b"a", "both/b": b"b", "renamed": b"a"}
    assert tree(here / "slash") == {"renamed": b"a"}
    assert tree(here / "copy") == {"a": b"a", "b": b"b"}


def test_patterns_work_in_both_directions(kernel: Driver, here: Path, there: str) -> None:
    for name in ("a.csv", "b.csv", "c.txt", "odd[1].csv", "odd1.csv"):
        (here / name).write_text(name)
    (here / "in").mkdir()
    (here / "in" / "deep.csv").touch()
    kernel.run(f"%upload '{here}/odd[1].csv'")
    assert list(remote_tree(kernel)) == ["odd[1].csv"]
    assert "3 files" in kernel.run(f"%upload {here}/[ab].csv {here}/**/d*.csv here/").stdout
    assert list(remote_tree(kernel, "here")) == ["a.csv", "b.csv", "deep.csv"]
    assert "2 files" in kernel.run(f"%download here/[ab]* {here}/got").stdout
    assert list(tree(here / "got")) == ["a.csv", "b.csv"]
    # The target of a pattern is a folder even if only one file matches.
    kernel.run(f"%download here/d*.csv {here}/one")
    assert list(tree(here / "one")) == ["deep.csv"]
    assert "1 file" in kernel.run(f"%download **/deep.csv {here}/stars").stdout


def test_paths_of_the_sandbox_may_contain_variables(kernel: Driver, here: Path, there: str) -> None:
    (here / "v.txt").write_text("v")
    kernel.run(f"for n in range(2):\n    %upload {here}/v.txt copy-{{n}}.txt")
    assert list(remote_tree(kernel)) == ["copy-0.txt", "copy-1.txt"]


NAMES = [
    "with space",
    "üñí 日本 🎉",
    "quote'\"$(x)`",
    "-dash",
    "--force",
    "*star",
    "back\\slash",
    "%20",
    ".hidden",
]


def test_any_readable_name_goes_there_and_back(kernel: Driver, here: Path, there: str) -> None:
    (here / "names").mkdir()
    for name in NAMES:
        (here / "names" / name).write_text(name)
    (here / "names" / "dir with\ttab").mkdir()
    (here / "names" / "dir with\ttab" / "new\nline").write_text("n")
    assert "10 files" in kernel.run(f"%upload {here}/names").stdout
    assert remote_tree(kernel, "names") == tree(here / "names")
    answer = kernel.run(f"%download names {here}/back --all")
    assert "9 files" in answer.stdout
    assert "dir with\\ttab" in answer.stderr
    assert sorted(tree(here / "back")) == sorted(NAMES)


def test_names_that_are_not_text_are_skipped(kernel: Driver, here: Path, there: str) -> None:
    (here / "odd").mkdir()
    (here / "odd" / "good").touch()
    (Path(os.fsdecode(os.fsencode(here / "odd") + b"/b\xffd"))).touch()
    answer = kernel.run(f"%upload {here}/odd")
    assert "1 file" in answer.stdout
    assert "Skipped" in answer.stderr
    kernel.run("open(b'odd/b\\xffd', 'w').close()")
    answer = kernel.run(f"%download odd {here}/back")
    assert list(tree(here / "back")) == ["good"]
    assert "Skipped" in answer.stderr


def test_nothing_is_overwritten_without_force(kernel: Driver, here: Path, there: str) -> None:
    (here / "data").mkdir()
    for name in ("a", "b"):
        (here / "data" / name).write_text("new")
    kernel.run("os.mkdir('data'); P('data/a').write_text('old'); P('data/kept').write_text('kept')")
    ename, sentence = failure(kernel, f"%upload {here}/data")
    assert (ename, sentence) == (
        "FileTransferError",
        f"{there}/data/a already exists; nothing was copied. Add --force to overwrite.",
    )
    assert remote_tree(kernel, "data") == {"a": b"old", "kept": b"kept"}
    kernel.run(f"%upload {here}/data --force")
    assert remote_tree(kernel) == {"data": None, "data/a": b"new", "data/b": b"new", "data/kept": b"kept"}
    ename, sentence = failure(kernel, f"%download data {here}")
    assert (
        sentence
        == f"{here}/data/a, {here}/data/b already exist; nothing was copied. Add --force to overwrite."
    )
    assert not (here / "data" / "kept").exists()
    kernel.run("P('data/a').write_text('newer')")
    kernel.run(f"%download --force data {here}")
    assert tree(here / "data") == {"a": b"newer", "b": b"new", "kept": b"kept"}


@pytest.mark.parametrize(
    ("code", "ename", "words"),
    [
        ("%upload", "MagicUsageError", "LOCAL is missing"),
        ("%download --force", "MagicUsageError", "REMOTE is missing"),
        ("%upload --forse a", "MagicUsageError", "Unknown option --forse"),
        (
            "%upload nosuch.txt",
            "DaytonaFileNotFoundError",
            "No file on the notebook's machine is called 'nosuch.txt'",
        ),
        (
            "%upload *.nosuch",
            "DaytonaFileNotFoundError",
            "No file on the notebook's machine matches '*.nosuch'",
        ),
        ("%download nosuch", "DaytonaFileNotFoundError", "Nothing in the sandbox is called 'nosuch'"),
        ("%download nosuch*", "DaytonaFileNotFoundError", "Nothing in the sandbox matches 'nosuch*'"),
        ("%upload {here}/f {there}/f/x", "FileTransferError", "is a file, not a folder"),
        ("%upload {here}/d f", "FileTransferError", "The copy needs a folder {there}/f, but that is a file"),
        (
            "%upload {here}/f {here}/d2 .",
            "FileTransferError",
            "The copy needs a file {there}/d2/x, but that is a folder",
        ),
        ("%upload {here}/f {here}/f x/", "MagicUsageError", "Two of the sources have the name 'f'"),
        ("%download f f x/", "MagicUsageError", "Two of the sources have the name 'f'"),
        (
            "%download d2 {here}/f",
            "FileTransferError",
            "The copy needs a folder {here}/f, but that is a file",
        ),
        ("%download f {here}/f/x", "FileTransferError", "is a file, not a folder"),
        ("%download /", "MagicUsageError", "name the folders to copy"),
        ("%upload / x", "MagicUsageError", "name the folders to copy"),
        ("%download /dev/null", "DaytonaFileNotFoundError", "There is nothing to copy"),
        ("%upload /dev/null", "DaytonaFileNotFoundError", "There is nothing to copy"),
    ],
)
def test_a_wrong_copy_gives_one_sentence_and_changes_nothing(
    kernel: Driver, here: Path, there: str, code: str, ename: str, words: str
) -> None:
    (here / "f").write_text("f")
    (here / "d").mkdir()
    (here / "d2").mkdir()
    (here / "d2" / "x").write_text("x")
    kernel.run("P('f').write_text('remote'); os.makedirs('d2/x')")
    before = remote_tree(kernel), tree(here)
    name, sentence = failure(kernel, code.format(here=here, there=there))
    assert name == ename
    assert words.format(here=here, there=there) in sentence
    assert (remote_tree(kernel), tree(here)) == before


def test_a_download_stays_in_its_target(kernel: Driver, here: Path, there: str) -> None:
    outside = here / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    kernel.run(
        "os.makedirs('evil/link'); P('evil/link/precious').write_text('evil')\n"
        "P('evil/plain').write_text('p')\n"
        "P('evil/esc\\x1b[31m').touch(); P('evil/turn\\u202etxt.exe').touch(); P('evil/a\\nb').touch()\n"
        "os.symlink('/etc/passwd', 'evil/passwd'); os.symlink('/etc', 'evil/etc')\n"
        "os.symlink('..', 'evil/up'); os.symlink('nowhere', 'evil/broken'); os.mkfifo('evil/fifo')"
    )
    (here / "got" / "evil").mkdir(parents=True)
    # A link in the target leads out of it.
    (here / "got" / "evil" / "link").symlink_to(outside)
    for options in ("", "--force"):
        name, sentence = failure(kernel, f"%download evil {here}/got {options}")
        assert name == "FileTransferError"
        assert ("already exists" if not options else "a link or a file is in its way") in sentence
    assert tree(outside) == {"precious": b"mine"}
    (here / "got" / "evil" / "link").unlink()
    answer = kernel.run(f"%download evil {here}/got --force")
    assert tree(here / "got") == {
        "evil": None,
        "evil/link": None,
        "evil/link/precious": b"evil",
        "evil/plain": b"p",
    }
    assert "Skipped links that lead elsewhere, special files, and names that are unsafe" in answer.stderr
    assert "\x1b" not in answer.stderr


def test_a_link_that_is_named_is_followed_and_one_at_the_target_is_replaced(
    kernel: Driver, here: Path, there: str
) -> None:
    (here / "precious").write_text("mine")
    (here / "link").symlink_to(here / "precious")
    kernel.run("P('f').write_text('new'); os.symlink('f', 'link'); os.mkdir('d'); os.symlink('d', 'dirlink')")
    kernel.run("P('d/in').write_text('in')")
    kernel.run(f"%download --force f {here}/link")
    assert (here / "precious").read_text() == "mine"
    assert (here / "link").read_text() == "new"
    kernel.run(f"%download link dirlink {here}/named")
    assert tree(here / "named") == {"link": b"new", "dirlink": None, "dirlink/in": b"in"}
    (here / "again").symlink_to(here / "named")
    kernel.run(f"%upload {here}/again")
    assert remote_tree(kernel, "again") == tree(here / "named")


@pytest.mark.parametrize(
    ("place", "safe"),
    [
        ("a/b c/ü", True),
        ("a\u200db", True),
        ("...", True),
        ("", False),
        ("..", False),
        ("a/../b", False),
        ("/a", False),
        ("a//b", False),
        ("a/", False),
        ("a\nb", False),
        ("a\x9bb", False),
        ("a\0", False),
        ("\ud800", False),
        ("a\u202eb", False),
        ("a\ufffdb", False),
    ],
)
def test_safe_names_are_plain_and_readable(place: str, safe: bool) -> None:
    assert is_safe(place) is safe


def test_large_files_are_streamed_and_their_progress_goes_away(
    kernel: Driver, here: Path, there: str
) -> None:
    size = 300_000_000
    with (here / "large").open("wb") as file:
        file.truncate(size)
    process = psutil.Process(kernel.pid)
    before = process.memory_info().rss
    peak = 0

    def watch(_message: object) -> None:
        nonlocal peak
        peak = max(peak, process.memory_info().rss)

    for code in (f"%upload {here}/large", f"%download large {here}/back"):
        answer = kernel.run(code, watch)
        assert "300 MB" in answer.stdout
        for shown in answer.contents("display_data"):
            assert "of 300 MB" in shown["data"]["text/plain"]
            assert answer.contents("update_display_data")[-1]["data"] == {"text/plain": ""}
    peak = max(peak, process.memory_info().rss)
    assert peak - before < 60_000_000
    assert (here / "back").stat().st_size == size


def test_many_files_go_together(kernel: Driver, here: Path, there: str) -> None:
    (here / "many").mkdir()
    for number in range(450):
        (here / "many" / f"{number}.txt").write_text(str(number))
    assert "450 files" in kernel.run(f"%upload {here}/many").stdout
    assert remote_tree(kernel, "many") == tree(here / "many")
    assert "450 files" in kernel.run(f"%download many {here}/back").stdout
    assert tree(here / "back") == tree(here / "many")


def test_an_interrupted_upload_changes_nothing(kernel: Driver, here: Path, there: str) -> None:
    with (here / "large").open("wb") as file:
        file.truncate(8_000_000_000)
    kernel.run("P('large').write_text('old')")
    answer, _ = kernel.interrupt_when(
        "display_data", f"print('go', flush=True)\n%upload --force {here}/large"
    )
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert "Nothing was changed in the sandbox" in answer.stderr
    assert remote_tree(kernel) == {"large": b"old"}
    (here / "large").unlink()


def test_an_interrupted_download_leaves_only_complete_files(kernel: Driver, here: Path, there: str) -> None:
    kernel.run(
        "os.mkdir('big'); P('big/a').write_text('a'); P('big/z').touch(); os.truncate('big/z', 8 * 10**9)"
    )
    (here / "big").mkdir()
    (here / "big" / "z").write_text("old")
    answer, _ = kernel.interrupt_when("display_data", f"%download --force big {here}")
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert answer.stderr.startswith("1 of 2 files arrived complete")
    wait_until(lambda: tree(here / "big") == {"a": b"a", "z": b"old"})
    kernel.run("os.remove('big/z')")


def test_paths_of_both_sides_are_completed(kernel: Driver, here: Path, there: str) -> None:
    (here / "local.csv").touch()
    (here / "folder").mkdir()
    kernel.run("P('remote.csv').touch()\n1")

    def completions(line: str) -> list[str]:
        return list(kernel.request("complete_request", {"code": line, "cursor_pos": len(line)})["matches"])

    assert completions(f"%upload {here.name}/") == [f"{here.name}/folder/", f"{here.name}/local.csv"]
    assert completions("%download re") == ["remote.csv"]
    assert completions("%upload a re") == ["remote.csv"]
    assert completions(f"%upload a {here.name}/lo") == [f"{here.name}/local.csv"]
    assert complete_path(f"{here}/l") == [f"{here}/folder/", f"{here}/local.csv"]


def test_help_shows_the_usage_and_mentions_cp(kernel: Driver) -> None:
    text = kernel.run("%upload --help").stdout
    assert "%upload LOCAL… [REMOTE] [--force]" in text
    assert "cp -r" in text


@both_profiles
def test_a_refused_upload_is_told_in_a_sentence_about_the_persons_folder(kernel: Driver, here: Path) -> None:
    (here / "file").write_text("x")
    ename, sentence = failure(kernel, f"%upload {here}/file /proc/no/file")
    assert ename == "FileTransferError"
    assert "/proc/no" in sentence
    assert "{" not in sentence
    assert ".daytona-upload" not in sentence
