"""Temporary directories, also on a full disk: the agent must start there, so that cells can make room."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..wire.conventions import MEMORY_DIRECTORY

_PROBE = bytes(4096)


def private_directory() -> tempfile.TemporaryDirectory[str]:
    """Return a new directory that has room for a file, where temporary files are or in memory.

    Raises OSError if both are full.
    """
    try:
        return _with_room(None)
    except OSError:
        return _with_room(MEMORY_DIRECTORY)


def settle() -> None:
    """Settle which directory this process uses for temporary files.

    On a full disk, Python finds none that it can use, and IPython needs the name of one for each cell. Then
    the usual one is used. Writing there fails until there is room again.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        # Private: Python has no other list of the directories that it tries.
        candidates = tempfile._candidate_tempdir_list()  # type: ignore[attr-defined]  # noqa: SLF001
        tempfile.tempdir = next((each for each in candidates if Path(each).is_dir()), None)


def _with_room(parent: str | None) -> tempfile.TemporaryDirectory[str]:
    directory = tempfile.TemporaryDirectory(prefix="daytona-", dir=parent, ignore_cleanup_errors=True)
    try:
        probe = Path(directory.name, "probe")
        probe.write_bytes(_PROBE)
        probe.unlink()
    except OSError:
        directory.cleanup()
        raise
    return directory
