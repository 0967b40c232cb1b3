"""A sandbox that wants its files to stay on the notebook's machine. They are removed with the sandbox."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from daytona_kernel import doctor
from daytona_kernel.server.removal import remove_tree
from daytona_kernel.server.state_directory import StateDirectory, remove_abandoned
from tests.server.conftest import EmbeddedServer, eventually, make_toolbox

CHATTR = shutil.which("chattr") or "chattr"
# Deeper than Python recurses, than there are descriptors, and than any path is long.
DEPTH = 3000
_DEEP = f"""
import os
name = "d" * 200
for _ in range({DEPTH}):
    os.mkdir(name)
    os.chdir(name)
"""
_MODES = """
import os
os.makedirs("a/b/c")
open("a/b/c/file", "w").close()
for path in ("a/b/c/file", "a/b/c", "a/b", "a"):
    os.chmod(path, 0)
"""
_WIDE = """
import os
for number in range(5000):
    os.close(os.open(f"file {number}", os.O_CREAT))
    if number % 50 == 0:
        os.makedirs(f"directory {number}/x/y")
"""
_LINKS = """
import os
os.symlink("/", "root")
os.symlink({outside!r}, "outside")
os.mkfifo("fifo")
os.makedirs("x/y")
os.symlink({outside!r}, "x/y/outside")
os.symlink("..", "x/up")
"""
_NAMES = r"""
import os
for name in (b"\xff\xfe", b"-rf", b"new\nline", b"lock", "é".encode(), b"." * 255):
    os.makedirs(name + b"/inner" if len(name) < 200 else name)
"""
ATTACKS = {"deep": _DEEP, "modes": _MODES, "wide": _WIDE, "links": _LINKS, "names": _NAMES}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the machine, with a file and a mode that must stay."""
    directory = tmp_path / "outside"
    directory.mkdir(mode=0o500)
    directory.chmod(0o700)
    (directory / "canary").write_text("mine")
    directory.chmod(0o500)
    return directory


def is_intact(outside: Path) -> bool:
    return (outside / "canary").read_text() == "mine" and outside.stat().st_mode & 0o777 == 0o500


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_files_of_a_deleted_sandbox_go(server: EmbeddedServer, outside: Path, attack: str) -> None:
    code = ATTACKS[attack].replace("{outside!r}", repr(str(outside)))
    with make_toolbox(server) as toolbox:
        made = toolbox.post(
            "/process/code-run",
            json={"code": f"import os\nos.chdir('/workspace')\n{code}", "language": "python"},
        )
        assert made.json()["exitCode"] == 0, made.text
        box = server.directory / "sandboxes" / toolbox.sandbox["id"]
        assert (box / "workspace").exists()
    eventually(
        lambda: not box.exists() and not box.with_name(f".{box.name}").exists(), "the box is gone", 120
    )
    assert is_intact(outside)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_tree_is_removed_with_few_descriptors(tmp_path: Path, outside: Path, attack: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    code = ATTACKS[attack].replace("{outside!r}", repr(str(outside)))
    subprocess.run([sys.executable, "-c", code], cwd=tree, check=True)
    tree.chmod(0)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 12, before[1]))
    try:
        assert remove_tree(tree)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert not os.path.lexists(tree)
    assert is_intact(outside)


def test_a_link_in_the_place_of_a_tree_is_not_followed(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "tree").symlink_to(outside)
    assert not remove_tree(tmp_path / "tree")
    assert is_intact(outside)


@pytest.fixture
def immovable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDirectory:
    """A state directory with a directory that nobody can empty."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    state = StateDirectory.temporary()
    held = state.sandboxes / "held"
    (held / "inner").mkdir(parents=True)
    (held / "inner" / "file").touch()
    (state.sandboxes / "other").mkdir()
    done = subprocess.run([CHATTR, "+i", held / "inner"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        os.close(state._lock or 0)
        pytest.skip(f"only root can make a file immutable, and not on every file system: {done.stderr}")
    return state


def test_a_failed_removal_is_reported_and_tried_again(
    immovable: StateDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    path = immovable.path
    try:
        immovable.remove(whole=True)
        assert str(path) in capfd.readouterr().err
        assert (path / "lock").exists()
        assert [each.name for each in path.rglob("*") if each.is_file()] == ["lock", "file"]
        assert remove_abandoned() == []
        assert str(path) in capfd.readouterr().err
        assert [str(path) in finding.sentence for finding in doctor._leftovers()] == [True]
    finally:
        for each in path.rglob("*"):
            if each.is_dir():
                subprocess.run([CHATTR, "-i", each], check=False)
    assert remove_abandoned() == [path]
    assert not path.exists()


def test_a_new_directory_is_never_taken_for_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other servers that start remove what is abandoned, also between the creation and the lock."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = threading.Event()

    def remove_again_and_again() -> None:
        while not done.is_set():
            remove_abandoned()

    others = [threading.Thread(target=remove_again_and_again) for _ in range(2)]
    for each in others:
        each.start()
    try:
        for _ in range(1000):
            state = StateDirectory.temporary()
            assert state.sandboxes.is_dir()
            state.remove(whole=True)
    finally:
        done.set()
        for each in others:
            each.join()
    assert list(tmp_path.iterdir()) == []
