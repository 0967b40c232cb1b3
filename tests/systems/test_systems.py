"""A hosted kernel works where macOS and Windows lack what Linux has; without a key it says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jupyter_client.manager import KernelManager

from daytona_kernel.interpreter.ending import describe_end
from daytona_kernel.magics.copying.folders import NamedFolder, OpenedFolder
from tests.kernel.driver import run_kernel
from tests.served import served  # noqa: F401  # a fixture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kernel.driver import Driver

PROGRAM = str(Path(__file__).with_name("lacking.py"))
SYSTEMS = ["darwin", "win32"]


@contextmanager
def kernel_on(system: str, folder: Path, **environment: str) -> Iterator[Driver]:
    manager = KernelManager(kernel_name="daytona")
    assert manager.kernel_spec is not None
    manager.kernel_spec.argv = [
        *(sys.executable, "-P", PROGRAM, system, "daytona_kernel.__main__", "-f", "{connection_file}"),
    ]
    with run_kernel(manager, folder, **environment) as driver:
        yield driver


@pytest.mark.parametrize("system", SYSTEMS)
def test_everything_that_a_hosted_kernel_needs_can_be_imported(system: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", PROGRAM, system, "all"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_github_runs_on_other_systems_runs_here() -> None:
    program = Path(__file__).with_name("here.py")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "modules were imported on linux" in done.stdout


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_hosted_kernel_works(
    system: str,
    served: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    (tmp_path / "data.txt").write_text("from here\n")
    with kernel_on(system, tmp_path, **served) as driver:
        assert driver.run("6 * 7").result == "42"
        assert driver.run("%upload data.txt\nprint(open('/workspace/data.txt').read())").stdout.endswith(
            "from here\n\n"
        )
        driver.run("%sh mkdir -p out/deep && echo back > out/deep/file && echo top > out/top")
        assert driver.run("%download out").reply["status"] == "ok"
        assert (tmp_path / "out/deep/file").read_text() == "back\n"
        answer = driver.run("import os; os.kill(os.getpid(), 9)")
        assert "SIGKILL" in answer.error["evalue"]
        assert driver.run("1 + 1").result == "2"


def test_paths_of_windows_have_drives_and_backslashes(
    served: dict[str, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    drive = tmp_path / "C:"
    (drive / "data/deep").mkdir(parents=True)
    (drive / "my data").mkdir()
    (drive / "data/deep/new.txt").write_text("deep")
    (drive / "data/top.txt").write_text("top")
    (drive / "my data/a b.txt").write_text("quoted")
    with kernel_on("win32", tmp_path, **served) as driver:

        def runs(line: str) -> None:
            assert driver.run(line).reply["status"] == "ok", line

        runs(r"%upload C:\data")
        runs(r'%upload "C:\my data\a b.txt" quoted.txt')
        runs(r"%upload C:\data\*.txt patterns/")
        printed = driver.run("%sh cat data/deep/new.txt data/top.txt quoted.txt patterns/top.txt").stdout
        assert printed == "deeptopquotedtop"
        runs(r"%download quoted.txt C:\data\back.txt")
        runs("%download data/deep/new.txt C:\\out\\")
        runs(r"%download data C:\copy")
        assert driver.run(r"%upload C:\ all").error["evalue"].startswith("Refusing to copy C:/")
    assert (drive / "data/back.txt").read_text() == "quoted"
    assert (drive / "out/new.txt").read_text() == (drive / "copy/deep/new.txt").read_text() == "deep"


@pytest.mark.parametrize("system", SYSTEMS)
def test_without_a_key_the_first_cell_says_what_to_do(system: str, tmp_path: Path) -> None:
    without = {"DAYTONA_API_KEY": "", "DAYTONA_API_URL": "", "DAYTONA_JWT_TOKEN": ""}
    with kernel_on(system, tmp_path, **without) as driver:
        error = driver.run("1").error
    assert error["ename"] == "EmbeddedServerError"
    assert "Set a key (DAYTONA_API_KEY) to use Daytona, or use Linux or WSL." in error["evalue"]


def test_signals_have_the_names_of_linux() -> None:
    assert "SIGBUS" in describe_end(-7)  # 10 on macOS
    assert "SIGUSR1" in describe_end(-10)
    assert "signal 40" in describe_end(-40)


@pytest.mark.parametrize("opened", [True, False])
def test_a_folder_leads_nowhere_else(opened: bool, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "link").symlink_to(outside)
    (root / "file").write_text("")
    folder = OpenedFolder(os.open(root, os.O_RDONLY)) if opened else NamedFolder(root)
    for name in ("link", "file"):
        with pytest.raises(OSError, match=r"directory|symbolic"):
            folder.enter(name)
    inner = folder.enter("inner").enter("deeper")
    with os.fdopen(inner.create("part", 0o644), "w") as file:
        file.write("text")
    inner.rename("part", "whole")
    inner.link("whole", "to")
    assert inner.has("whole")
    assert inner.has("to")
    assert not inner.has("part")
    assert (root / "inner/deeper/to").read_text() == "text"
    inner.remove("to")
    assert [path.name for path in (root / "inner/deeper").iterdir()] == ["whole"]
    folder.close()
