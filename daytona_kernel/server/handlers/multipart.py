"""Multipart forms: bytes in, events out. No I/O.

python-multipart finds the parts. This module turns its callbacks into events, so that the handler of an
upload can wait while it opens a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.multipart import parse_options_header

from ...wire.part_headers import PartHeaders

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MAX_HEADER = 16 << 10


@dataclass(frozen=True, slots=True)
class PartStarted:
    """The headers of a part: the field's name, and whether the field is a file."""

    name: str
    is_file: bool


@dataclass(frozen=True, slots=True)
class PartData:
    """Some bytes of the part's body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnded:
    """The end of the part's body."""


Event = PartStarted | PartData | PartEnded


class FormReader:
    """A form that arrives in pieces of any size.

    `content_type` is the request's header of that name. Wrong forms raise `ValueError`, here and later.
    """

    def __init__(self, content_type: str) -> None:
        kind, parameters = parse_options_header(content_type.encode("latin-1", "replace"))
        boundary = parameters.get(b"boundary", b"")
        if not kind.startswith(b"multipart/") or not boundary:
            raise ValueError("the body must be a multipart form, and its Content-Type must have a boundary")
        self._headers = PartHeaders()
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._headers.start,
            "on_header_field": self._headers.add_to_name,
            "on_header_value": self._headers.add_to_value,
            "on_header_end": self._headers.end,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._end_form,
        }
        self._parser = MultipartParser(boundary, callbacks, max_header_size=_MAX_HEADER)
        self._events: list[Event] = []
        self._is_complete = False

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes."""
        self._parser.write(data)
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Check that the form has its last boundary."""
        if not self._is_complete:
            raise ValueError("the multipart form ends before its last boundary")

    def _end_headers(self) -> None:
        _, parameters = parse_options_header(self._headers.disposition)
        if b"name" not in parameters:
            raise ValueError("a part of the form has no Content-Disposition with a name")
        # The library ignores the extended form, `filename*=`, which some clients send for other characters.
        is_file = b"filename" in parameters or b"filename*" in self._headers.disposition
        self._events.append(PartStarted(parameters[b"name"].decode("utf-8", "replace"), is_file))

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(PartData(data[start:end]))

    def _end_part(self) -> None:
        self._events.append(PartEnded())

    def _end_form(self) -> None:
        self._is_complete = True
