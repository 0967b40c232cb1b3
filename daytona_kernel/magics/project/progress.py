"""The progress of a copy of the project, for the cell that waits for it."""

from __future__ import annotations

from ...formatting import format_bytes, format_count


class Progress:
    """The progress of a copy."""

    def __init__(self) -> None:
        self._text, self._size, self._done, self._moved = "", 0, 0, 0

    def begin(self, activity: str, files: int, size: int) -> None:
        """Start again, with a copy of so many files and bytes."""
        self._text = f"{activity} {format_count(files, 'file')} of the project"
        self._size, self._done, self._moved = size, 0, 0

    def moved(self, size: int) -> None:
        """Take the bytes of a request that have moved so far. Any thread may call this."""
        self._moved = size

    def finish(self, size: int) -> None:
        """Take the bytes of a request that has its answer."""
        self._done, self._moved = self._done + size, 0

    def describe(self) -> dict[str, str]:
        """Return a MIME bundle."""
        moved = min(self._done + self._moved, self._size)
        percent = 100 * moved // max(1, self._size)
        return {
            "text/plain": f"{self._text}: {format_bytes(moved)} of {format_bytes(self._size)} ({percent} %)"
        }
