"""Completion of file paths, in the sandbox and on the notebook's machine."""

from __future__ import annotations

import os
from pathlib import Path


def complete_path(typed: str) -> list[str]:
    """Return the paths on this machine that start with `typed`'s folder; folders end in `/`.

    The caller drops the paths that do not start with `typed` itself. `~` is expanded for the search only.
    """
    folder, slash, _ = typed.rpartition("/")
    try:
        with os.scandir(Path(folder + slash).expanduser()) as entries:
            return sorted(f"{folder}{slash}{each.name}{'/' * each.is_dir()}" for each in entries)
    except (OSError, RuntimeError):  # RuntimeError: the user of a `~user` is unknown
        return []
