"""The project's folder: with its rules, without its environments, and never through links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daytona_kernel.errors import FileTransferError, MagicUsageError
from daytona_kernel.magics.project import local_tree
from daytona_kernel.magics.project.local_tree import LocalTree
from daytona_kernel.magics.project.packing import pack
from daytona_kernel.project_folder import project_folder
from tests.folders import make


def test_a_tree_has_its_files_folders_and_inner_links(tmp_path: Path) -> None:
    make(
        tmp_path,
        "nb.ipynb",
        "other.ipynb",
        "a.py",
        "in/b.py",
        "empty/",
        "env/pyvenv.cfg",
        "env/lib/x.py",
        ".env",
    )
    (tmp_path / "link.py").symlink_to("in/b.py")
    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / "in" / "up").symlink_to("../..")
    os.mkfifo(tmp_path / "fifo")
    found = LocalTree(str(tmp_path), "nb.ipynb").look()
    assert found.entries.keys() == {"other.ipynb", "a.py", "in", "in/b.py", "empty", "link.py"}
    assert found.secrets == [".env"]
    assert {Path(path).name for path in found.skipped} == {"out", "up", "fifo"}


def test_changed_rules_count_at_once(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "b.csv", "in/c.csv")
    tree = LocalTree(str(tmp_path))
    assert "b.csv" in tree.look().entries
    (tmp_path / ".gitignore").write_text("*.csv\n")
    assert tree.look().entries.keys() == {".gitignore", "a.py", "in"}
    (tmp_path / "in" / ".daytonaignore").write_text("!c.csv\n")
    assert "in/c.csv" in tree.look().entries
    (tmp_path / ".gitignore").unlink()
    assert "b.csv" in tree.look().entries


def test_a_named_place_is_there_although_rules_leave_it_out(tmp_path: Path) -> None:
    make(tmp_path, ".gitignore", "build/deep/out.file", "build/other.file", ".env")
    (tmp_path / ".gitignore").write_text("build/\n")
    (tmp_path / "linked").symlink_to("/etc")
    tree = LocalTree(str(tmp_path))
    tree.rules.name([".env", "build/deep", "linked/passwd", "gone"])
    assert {"build/deep/out.file", "build", "build/deep", ".env"} <= tree.look().entries.keys()
    assert "build/other.file" not in tree.look().entries
    assert "linked/passwd" not in tree.look().entries


@pytest.mark.parametrize("limit", ["MOST_FILES", "MOST_BYTES"])
def test_too_much_is_refused_with_the_largest_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    make(tmp_path, *(f"data/{n}.csv" for n in range(30)), "a.py")
    monkeypatch.setattr(local_tree, limit, 20)
    with pytest.raises(FileTransferError, match="most of it is in data/") as caught:
        LocalTree(str(tmp_path)).look()
    assert ".daytonaignore" in caught.value.message


def test_a_home_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    make(tmp_path, "home/project/")
    for path in ("/", "~", str(tmp_path)):
        with pytest.raises(MagicUsageError, match="Nothing was sent"):
            project_folder(path)
    with pytest.raises(MagicUsageError, match="does not exist"):
        project_folder("~/nowhere")
    assert project_folder("~/project") == os.path.realpath(tmp_path / "home" / "project")


def test_a_file_that_vanishes_or_becomes_a_link_is_not_packed_from_elsewhere(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "b.py")
    entries = list(LocalTree(str(tmp_path)).look().entries.values())
    (tmp_path / "a.py").unlink()
    (load,) = pack(entries)
    assert load.known.keys() == {"b.py"}
    (tmp_path / "b.py").unlink()
    (tmp_path / "b.py").symlink_to("/etc/passwd")
    with pytest.raises(FileTransferError, match=r"b\.py cannot be read"):
        list(pack(entries))
