"""The handover of a kernel to the next one."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from daytona_kernel.kernel.host.handover import Handover, HandoverFile

if TYPE_CHECKING:
    from pathlib import Path


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
