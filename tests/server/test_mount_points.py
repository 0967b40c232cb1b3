"""The server makes mount points in a box's own directories, whatever the sandbox has put there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daytona_kernel.server.box.mount_points import make_mount_points


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """The directory of a box, with its own directories."""
    for part in ("home", "workspace", "tmp"):
        (tmp_path / "box" / part).mkdir(parents=True)
    return tmp_path / "box"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the machine, to which a sandbox's link leads."""
    path = tmp_path / "outside"
    path.mkdir()
    return path


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """An environment and a certificate below the paths of a box's own directories."""
    (tmp_path / "lib/python3").mkdir(parents=True)
    (tmp_path / "ca.pem").touch()
    return [
        *("--bind", str(tmp_path / "box/tmp"), "/tmp"),
        *("--ro-bind", str(tmp_path / "lib"), "/tmp/a/venv/lib"),
        *("--symlink", "lib", "/tmp/a/venv/lib64"),
        *("--ro-bind-try", str(tmp_path / "lib/python3"), "/tmp/a/venv/lib64/python3"),
        *("--ro-bind", str(tmp_path / "ca.pem"), "/home/daytona/ca/ca.pem"),
        *("--ro-bind", str(tmp_path / "ca.pem"), "/var/tmp/ca.pem"),
        *("--ro-bind-try", str(tmp_path / "none.pem"), "/workspace/none.pem"),
        *("--symlink", "usr/bin", "/bin"),
    ]


MADE = {
    "home/ca": "directory",
    "home/ca/ca.pem": "file",
    "tmp/a": "directory",
    "tmp/a/venv": "directory",
    "tmp/a/venv/lib": "directory",
    "tmp/a/venv/lib64": "link to lib",
    "tmp/ca.pem": "file",
}


def made_in(box: Path) -> dict[str, str]:
    """Return what is in the own directories of a box: paths and kinds."""
    found = {}
    for parent, directories, files in os.walk(box):
        for path in (Path(parent) / name for name in (*directories, *files)):
            if path.is_symlink():
                kind = f"link to {path.readlink()}"
            else:
                kind = "directory" if path.is_dir() else "file" if path.is_file() else "other"
            found[str(path.relative_to(box))] = kind
    return {path: kind for path, kind in found.items() if "/" in path}


def test_all_but_the_links_is_left_for_bubblewrap(box: Path, options: list[str]) -> None:
    link = options.index("/tmp/a/venv/lib64") - 2
    assert make_mount_points(box, options) == options[:link] + options[link + 3 :]
    assert made_in(box) == MADE


def test_they_are_open_for_the_sandboxs_user(box: Path, options: list[str]) -> None:
    before = os.umask(0o077)
    try:
        make_mount_points(box, options)
    finally:
        os.umask(before)
    for path in ("tmp/a", "tmp/a/venv", "tmp/a/venv/lib"):
        assert (box / path).stat().st_mode & 0o777 == 0o755


def test_a_second_start_finds_them_and_the_sandboxs_files(box: Path, options: list[str]) -> None:
    make_mount_points(box, options)
    (box / "tmp/a/mine").write_text("mine")
    make_mount_points(box, options)
    assert made_in(box) == {**MADE, "tmp/a/mine": "file"}
    assert (box / "tmp/a/mine").read_text() == "mine"


@pytest.mark.parametrize("path", MADE)
@pytest.mark.parametrize("kind", ["link", "broken link", "directory", "file", "fifo", "closed directory"])
def test_what_the_sandbox_puts_in_their_place_is_removed_and_not_followed(
    box: Path, outside: Path, options: list[str], path: str, kind: str
) -> None:
    place = box / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind.endswith("link"):
        place.symlink_to(outside if kind == "link" else outside / "new")
    elif kind.endswith("directory"):
        (place / "inner").mkdir(parents=True)
        place.chmod(0o700 if kind == "directory" else 0)
    elif kind == "file":
        place.write_text("evil")
    else:
        os.mkfifo(place)
    make_mount_points(box, options)
    assert {each: made_in(box).get(each) for each in MADE} == MADE
    assert list(outside.iterdir()) == []
