"""What a kernel leaves for the next one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from daytona_kernel.kernel.record import Record, RecordFile


def test_a_record_is_for_its_owner_and_comes_back(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "kernel-1.json")
    assert file.read() == Record()
    record = Record(
        server={"api_url": "http://x", "api_key": "k-secret"}, sandbox_id="s", agent={"port": 3000}
    )
    file.write(record)
    assert file.read() == record
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert "k-secret" not in repr(record)
    file.remove()
    file.remove()
    assert os.listdir(tmp_path) == []


def test_a_broken_record_is_no_record(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "kernel-1.json")
    for text in ("", "[]", '{"nonsense": 1}', "{"):
        file.path.write_text(text)
        assert file.read() == Record()


def test_only_old_records_of_kernels_that_are_gone_are_swept(tmp_path: Path) -> None:
    for name, age, alive in (("gone", 100, False), ("alive", 100, True), ("young", 1, False)):
        file = RecordFile(tmp_path / f"{name}.json")
        file.write(Record())
        then = file.path.stat().st_mtime - age
        os.utime(file.path, (then, then))
        if alive:
            (tmp_path / f"{name}.json").touch()
    RecordFile(tmp_path / "new.json").sweep()
    assert sorted(p.name for p in tmp_path.glob("*.record")) == [
        "daytona-alive.record",
        "daytona-young.record",
    ]
