"""Temporary directories of the agent, also on a full disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from daytona_kernel.agent import temporary
from daytona_kernel.wire.conventions import MEMORY_DIRECTORY
from tests.full_disk import full_beyond


def test_a_process_that_starts_on_a_full_disk_names_its_temporary_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with full_beyond(0):
        with pytest.raises(FileNotFoundError):
            tempfile.gettempdir()
        temporary.settle()
        assert tempfile.gettempdir() == str(tmp_path)
        with pytest.raises(OSError, match="File too large"):
            temporary.private_directory()
    assert list(tmp_path.iterdir()) == []


def test_the_private_directory_is_in_memory_where_the_usual_place_has_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    with temporary.private_directory() as directory:
        assert Path(directory).parent == Path(MEMORY_DIRECTORY)
    assert not Path(directory).exists()
