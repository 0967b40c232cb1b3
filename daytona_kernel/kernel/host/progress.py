"""The latest line of text about the kernel's wait for its sandbox and its interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Progress:
    """The text that a waiting notice shows. It belongs to the API thread's loop.

    The sandbox is being created before there is a relay to show the text, so the latest text is kept.
    """

    def __init__(self) -> None:
        self._text = ""
        self._on_text: Callable[[str], None] | None = None

    def watch(self, on_text: Callable[[str], None]) -> None:
        """Call `on_text` with the latest text, if there is one, and with each later text."""
        self._on_text = on_text
        if self._text:
            on_text(self._text)

    def show(self, text: str) -> None:
        """Set the text."""
        self._text = text
        if self._on_text is not None:
            self._on_text(text)
