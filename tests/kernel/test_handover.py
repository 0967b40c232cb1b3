"""The handover of a kernel to the next one."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.kernel.host.handover import Handover, HandoverFile

if TYPE_CHECKING:
    from pathlib import Path

STRANGER = 65534


def test_a_handover_can_be_read_again_only_by_its_owner(tmp_path: Path) -> None:
    file = HandoverFile(tmp_path / "kernel-1.json")
    assert file.read() == Handover()
    handover = Handover(
        server={"api_url": "http://x", "api_key": "k-secret"}, sandbox_id="s", agent={"port": 3000}
    )
    file.write(handover)
    assert file.read() == handover
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert "k-secret" not in repr(handover)
    file.remove()
    file.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_is_read_as_an_empty_handover(tmp_path: Path) -> None:
    file = HandoverFile(tmp_path / "kernel-1.json")
    for text in ("", "[]", '{"nonsense": 1}', "{"):
        file.path.write_text(text)
        assert file.read() == Handover()


def test_sweep_removes_only_old_handovers_without_a_connection_file(tmp_path: Path) -> None:
    for name, age, alive in (("gone", 100, False), ("alive", 100, True), ("young", 1, False)):
        file = HandoverFile(tmp_path / f"{name}.json")
        file.write(Handover())
        then = file.path.stat().st_mtime - age
        os.utime(file.path, (then, then))
        if alive:
            (tmp_path / f"{name}.json").touch()
    HandoverFile(tmp_path / "new.json").sweep()
    assert sorted(p.name for p in tmp_path.glob("*.handover")) == [
        "daytona-alive.handover",
        "daytona-young.handover",
    ]


def test_sweep_removes_the_files_that_a_killed_writer_left(tmp_path: Path) -> None:
    part = tmp_path / "daytona-gone.handover-k2j3"
    part.touch()
    os.utime(part, (0, 0))
    HandoverFile(tmp_path / "new.json").sweep()
    assert not part.exists()


def test_no_file_in_the_way_stops_a_kernel(tmp_path: Path) -> None:
    file = HandoverFile(tmp_path / "kernel-1.json")
    file.path.mkdir()  # it can be neither read, replaced nor removed, by root either
    os.utime(file.path, (0, 0))
    file.sweep()
    file.write(Handover(sandbox_id="s"))
    file.remove()
    assert file.read() == Handover()
    assert list(tmp_path.iterdir()) == [file.path]
    nowhere = HandoverFile(tmp_path / "gone" / "kernel-1.json")
    nowhere.sweep()
    nowhere.write(Handover())
    nowhere.remove()


def test_links_and_fifos_are_not_read(tmp_path: Path) -> None:
    target = HandoverFile(tmp_path / "kernel-1.json")
    target.write(Handover(sandbox_id="s"))
    link = HandoverFile(tmp_path / "kernel-2.json")
    link.path.symlink_to(target.path)
    fifo = HandoverFile(tmp_path / "kernel-3.json")
    os.mkfifo(fifo.path)
    assert link.read() == fifo.read() == Handover()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_the_files_of_another_user_are_neither_read_nor_removed(tmp_path: Path) -> None:
    file = HandoverFile(tmp_path / "kernel-1.json")
    file.write(Handover(sandbox_id="s"))
    os.chown(file.path, STRANGER, STRANGER)
    os.utime(file.path, (0, 0))
    assert file.read() == Handover()
    file.sweep()
    assert file.path.exists()
