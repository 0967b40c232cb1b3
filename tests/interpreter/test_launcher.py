"""The script that writes the agent into a sandbox."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from daytona_kernel.interpreter.bundle import agent_archive, archive_name
from daytona_kernel.interpreter.launcher import _writing_script
from daytona_kernel.wire.conventions import MEMORY_DIRECTORY

SETTINGS = json.dumps({"secret": "it's $HOME"})


def write(shell: str, cache: str) -> Path:
    """Run the script, and return the directory that it names."""
    done = subprocess.run(
        [shell, "-s"],
        input=_writing_script("link", SETTINGS),
        env={"XDG_CACHE_HOME": cache, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(done.stdout.splitlines()[-1])


@pytest.mark.xdist_group("directory in memory")  # a user has one
@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize("has_room", [True, False])
def test_the_agent_is_written_to_the_cache_or_to_memory(tmp_path: Path, shell: str, has_room: bool) -> None:
    directory = write(shell, str(tmp_path) if has_room else "/proc")
    try:
        assert directory.parent == (tmp_path if has_room else Path(MEMORY_DIRECTORY))
        assert (directory / archive_name()).read_bytes() == agent_archive()
        assert (directory / "link.json").read_text() == SETTINGS + "\n"
        assert {file.stat().st_mode & 0o077 for file in (directory, *directory.iterdir())} == {0}
        (directory / "link.json").unlink()
        assert write(shell, str(tmp_path) if has_room else "/proc") == directory
    finally:
        shutil.rmtree(directory)
