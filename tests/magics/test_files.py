"""`%upload` and `%download` in a real kernel, whose own directory is not the sandbox's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daytona_kernel.client.models import FileInfo
from daytona_kernel.errors import CommandFailedError
from daytona_kernel.magics import files
from daytona_kernel.magics.progress import describe_size
from tests.kernel.driver import Driver, running_kernel

from .conftest import failure


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the kernel runs in."""
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def kernel(here: Path) -> Iterator[Driver]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        with running_kernel() as driver:
            yield driver


@pytest.fixture(autouse=True)
def place(kernel: Driver, request: pytest.FixtureRequest) -> str:
    """A new current directory in the sandbox."""
    path = f"/tmp/{request.node.name.split('[')[0]}"
    kernel.run(f"import os, shutil; shutil.rmtree('{path}', True); os.makedirs('{path}'); os.chdir('{path}')")
    return path


def tree(kernel: Driver) -> str:
    return kernel.run('%sh find . -type f | sort | while read f; do echo $f $(cat "$f"); done').stdout


def test_files_folders_and_patterns_go_up(kernel: Driver, here: Path, place: str) -> None:
    for name in ("a.csv", "b.csv", "data/deep/c.txt", "with space.txt"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(name)
    (here / "data" / "empty").mkdir()
    assert kernel.run("%upload a.csv").stdout == f"Uploaded 1 file (5 bytes) to {place}.\n"
    kernel.run("%upload a.csv other.csv")
    kernel.run("%upload *.csv data 'with space.txt' into/")
    assert tree(kernel).splitlines() == [
        "./a.csv a.csv",
        "./into/a.csv a.csv",
        "./into/b.csv b.csv",
        "./into/data/deep/c.txt data/deep/c.txt",
        "./into/with space.txt with space.txt",
        "./other.csv a.csv",
    ]
    assert kernel.run("os.path.isdir('into/data/empty')").result == "True"


def test_files_folders_and_patterns_come_down(kernel: Driver, here: Path, place: str) -> None:
    kernel.run("%sh mkdir -p plots/deep plots/none")
    kernel.run("%sh echo 1 > plots/a.png; echo 2 > plots/deep/b.png; echo 3 > r")
    assert kernel.run("%download r").stdout == "Downloaded 1 file (2 bytes) to ..\n"
    assert (here / "r").read_text() == "3\n"
    kernel.run("%download plots r got/")
    kernel.run("%download plots/*.png r.png")
    assert (here / "got/plots/deep/b.png").read_text() == "2\n"
    assert (here / "got/plots/none").is_dir()
    assert (here / "got/r").read_text() == "3\n"
    assert (here / "r.png").read_text() == "1\n"


def test_nothing_is_overwritten_without_force(kernel: Driver, here: Path) -> None:
    (here / "mine.txt").write_text("local")
    kernel.run("open('mine.txt', 'w').write('remote')")
    assert "--force overwrites it" in failure(kernel, "%upload mine.txt")[1]
    assert "--force overwrites it" in failure(kernel, "%download mine.txt")[1]
    assert (here / "mine.txt").read_text() == "local"
    assert kernel.run("open('mine.txt').read()").result == "'remote'"
    kernel.run("%download --force mine.txt")
    assert (here / "mine.txt").read_text() == "remote"
    (here / "mine.txt").write_text("local")
    kernel.run("%upload --force mine.txt")
    assert kernel.run("open('mine.txt').read()").result == "'local'"


def test_a_link_is_no_way_out(kernel: Driver, here: Path, tmp_path: Path) -> None:
    kernel.run("%sh mkdir -p evil/sub; ln -s . evil/loop; ln -s /etc evil/etc")
    kernel.run("%sh echo x > evil/sub/f; echo y > evil/g")
    answer = kernel.run("%download evil")
    assert "Links were left out" in answer.stdout
    assert sorted(str(p.relative_to(here)) for p in (here / "evil").rglob("*")) == [
        "evil/g",
        "evil/sub",
        "evil/sub/f",
    ]
    (here / "evil/sub/f").unlink()
    (here / "evil/sub").rmdir()
    (here / "evil/sub").symlink_to(tmp_path)
    assert failure(kernel, "%download --force evil")[0] == "CommandFailedError"
    assert list(tmp_path.iterdir()) == []
    (here / "evil/g").unlink()
    (here / "evil/g").symlink_to(tmp_path / "elsewhere")
    kernel.run("%download --force evil/g evil/")
    assert not (tmp_path / "elsewhere").exists()
    assert (here / "evil/g").read_text() == "y\n"


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc/passwd", "../x", "a\0b"])
@pytest.mark.anyio
async def test_a_name_of_the_sandbox_is_one_step(name: str) -> None:
    class Inventing:
        async def list_files(self, _path: str) -> list[FileInfo]:
            return [FileInfo(name=name, is_dir=False, size=1)]

    walk = files._walk(Inventing(), "/data", ())  # type: ignore[arg-type]
    with pytest.raises(CommandFailedError):
        await anext(walk)


def test_a_large_file_shows_a_bar_and_stays_out_of_memory(kernel: Driver, here: Path) -> None:
    import psutil

    size = 300_000_000
    with (here / "large").open("wb") as file:
        file.truncate(size)
    own = psutil.Process(kernel.pid)
    before = own.memory_info().rss
    up = kernel.run("%upload large")
    down = kernel.run("%download large large-again")
    assert own.memory_info().rss - before < 100_000_000
    assert "Uploaded 1 file (300.0 MB)" in up.stdout
    assert (here / "large-again").stat().st_size == size
    for answer in (up, down):
        for bar in answer.contents("display_data"):
            assert "of 300.0 MB" in bar["data"]["text/plain"]
            assert "<progress" in bar["data"]["text/html"]
        assert all(last["data"] == {} for last in answer.contents("update_display_data")[-1:])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("%upload", "nothing to copy: %upload LOCAL"),
        ("%download", "nothing to copy: %download REMOTE"),
        ("%upload nowhere", "There is no 'nowhere' in"),
        ("%upload *.nowhere", "There is no '*.nowhere' in"),
        ("%download nowhere", "in the sandbox"),
        ("%download *.nowhere", "Nothing in the sandbox matches"),
        ("%upload 'a b", "A quote is not closed"),
        ("%upload --fast a", "Unknown option --fast"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_lost(kernel: Driver, code: str, words: str) -> None:
    assert words in failure(kernel, code)[1]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (3.2e9, "3.2 GB"), (5e12, "5.0 TB")],
)
def test_sizes_are_for_a_person(size: float, text: str) -> None:
    assert describe_size(size) == text
