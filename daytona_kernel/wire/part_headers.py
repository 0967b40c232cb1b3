"""The headers of one part of a multipart form, which python-multipart hands over in pieces. No dependency."""

from __future__ import annotations


class PartHeaders:
    """The header of a part that matters, its Content-Disposition. The methods are callbacks of the parser."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Forget the headers of the previous part."""
        self._name = self._value = self.disposition = b""

    def add_to_name(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a header's name."""
        self._name += data[start:end]

    def add_to_value(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a header's value."""
        self._value += data[start:end]

    def end(self) -> None:
        """Take the end of a header."""
        if self._name.lower() == b"content-disposition":
            self.disposition = self._value
        self._name = self._value = b""
