"""The bookmark: what a kernel has taken of its agent's messages, for the kernel that takes its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daytona_kernel.interpreter.bookmark import Bookmark
from tests.full_disk import full_beyond

LINK, OTHER = "0123456789abcdef", "fedcba9876543210"


def test_the_next_kernel_finds_the_latest_number_of_the_same_agent(tmp_path: Path) -> None:
    path = tmp_path / "bookmark"
    bookmark = Bookmark(path)
    assert bookmark.begin(LINK) is None
    for number in (1, 2, 70_000):
        bookmark.set(number)
    assert Bookmark(path).begin(OTHER) is None
    assert Bookmark(path).begin(LINK) == 70_000
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_kernel_with_another_agent_begins_anew(tmp_path: Path) -> None:
    bookmark = Bookmark(tmp_path / "bookmark")
    bookmark.begin(LINK)
    bookmark.set(5)
    assert bookmark.begin(OTHER) is None
    bookmark.set(1)
    assert Bookmark(tmp_path / "bookmark").begin(OTHER) == 1


def test_an_end_in_good_order_leaves_nothing(tmp_path: Path) -> None:
    bookmark = Bookmark(tmp_path / "bookmark")
    bookmark.begin(LINK)
    bookmark.set(5)
    bookmark.remove()
    assert list(tmp_path.iterdir()) == []
    bookmark.set(6)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/etc/passwd")])
def test_a_file_that_is_no_bookmark_is_left_alone(tmp_path: Path, make: object) -> None:
    path = tmp_path / "bookmark"
    assert callable(make)
    make(path)
    bookmark = Bookmark(path)
    assert bookmark.begin(LINK) is None
    bookmark.set(5)
    assert bookmark.begin(LINK) is None


def test_a_full_disk_costs_only_the_bookmark(tmp_path: Path) -> None:
    bookmark = Bookmark(tmp_path / "bookmark")
    bookmark.begin(LINK)
    with full_beyond(10):
        bookmark.set(5)
    assert list(tmp_path.iterdir()) == []
