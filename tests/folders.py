"""Folders for tests, from the places of their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make(root: Path, *places: str) -> None:
    """Make files, each with its place as its text, and folders: places with a slash at their end."""
    for place in places:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if place.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_text(place)
