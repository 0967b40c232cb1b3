"""Where a server makes control groups, as far as that needs no cgroup v2. The attacks show that they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daytona_kernel.server.box.control_group import nearest_parent, own_group, remove_groups

if TYPE_CHECKING:
    from pathlib import Path

V1 = "34 32 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
V2 = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
MIXED = V1 + "36 32 0:33 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
# A container that sees the groups of its machine.
BELOW = "35 24 0:30 /docker/box /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n"
USERS = "/user.slice/user-1000.slice/user@1000.service/app.slice/terminal.scope"
ALL = "cpu io memory pids"


@pytest.mark.parametrize(
    ("mounts", "groups", "found"),
    [
        (V2, f"0::{USERS}\n", ("/sys/fs/cgroup", f"/sys/fs/cgroup{USERS}")),
        (V2, "0::/\n", ("/sys/fs/cgroup", "/sys/fs/cgroup")),
        (MIXED, "5:memory:/x\n0::/a\n", ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/a")),
        (BELOW, "0::/docker/box/init\n", ("/sys/fs/cgroup", "/sys/fs/cgroup/init")),
        (BELOW, "0::/docker/boxes\n", None),  # what is mounted is another group
        (V2, "0::/../other\n", None),  # above the namespace
        (V1, "5:memory:/x\n", None),
        ("", "", None),
    ],
)
def test_the_own_group(mounts: str, groups: str, found: tuple[str, str] | None) -> None:
    own = own_group(mounts, groups)
    assert (own and tuple(map(str, own))) == found


def make_group(path: Path, *, available: str = ALL, bounded: str = "", busy: bool = False) -> Path:
    """Make the files of a control group. A busy one has processes, so it bounds no others."""
    path.mkdir()
    (path / "cgroup.procs").write_text("")
    (path / "cgroup.controllers").write_text(f"{available}\n")
    if busy:
        (path / "cgroup.subtree_control").mkdir()  # a write to it fails, as the kernel refuses it
    else:
        (path / "cgroup.subtree_control").write_text(f"{bounded}\n")
    return path


def test_the_nearest_group_that_bounds_others_is_taken(tmp_path: Path) -> None:
    top = make_group(tmp_path / "top", bounded=ALL)
    manager = make_group(top / "manager", bounded="memory pids")
    own = make_group(manager / "own", busy=True)
    assert nearest_parent(top, own) == manager


def test_a_group_without_processes_bounds_others_when_it_is_told_to(tmp_path: Path) -> None:
    top = make_group(tmp_path / "top", busy=True)
    service = make_group(top / "service")
    own = make_group(service / "own", busy=True)
    assert nearest_parent(top, own) == service
    assert (service / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_a_group_that_lacks_a_controller_is_left_as_it_is(tmp_path: Path) -> None:
    top = make_group(tmp_path / "top", available="cpu memory")
    assert nearest_parent(top, top) is None
    assert (top / "cgroup.subtree_control").read_text() == "\n"


def test_nothing_above_the_top_is_taken(tmp_path: Path) -> None:
    above = make_group(tmp_path / "above", bounded=ALL)
    top = make_group(above / "top", busy=True)
    assert nearest_parent(top, make_group(top / "own", busy=True)) is None


def test_groups_that_are_gone_are_removed(tmp_path: Path) -> None:
    record = tmp_path / "record"
    assert remove_groups(record)  # the server has made none
    record.write_text(str(tmp_path / "daytona-kernel-gone"))
    assert remove_groups(record)


def test_a_directory_that_is_no_group_of_a_server_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    record = tmp_path / "record"
    record.write_text(str(tmp_path))
    assert not remove_groups(record)
    assert (tmp_path / "mine").is_dir()
