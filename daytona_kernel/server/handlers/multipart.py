"""Multipart forms: bytes in, events out. No I/O.

preamble ─boundary→ headers ─blank line→ body ─boundary→ headers … ─last boundary→ end
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

_MAX_HEADERS = 16 << 10
_PARAMETER = re.compile(r';\s*([\w*]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PartBegun:
    """A field of the form; `filename` is `None` for one that is no file."""

    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class PartData:
    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnded:
    pass


Event = PartBegun | PartData | PartEnded


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that the header `Content-Type` names. Raises `ValueError` if it names none."""
    found = _BOUNDARY.search(content_type)
    if found is None or "multipart/" not in content_type.lower():
        raise ValueError("a multipart form with a boundary is expected")
    return (found[1] or found[2]).encode("latin-1")


class MultipartParser:
    """`feed` takes pieces of any size. Raises `ValueError` for what is no multipart form."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")  # so that the first boundary looks like all others
        self._state = "preamble"

    def feed(self, data: bytes) -> list[Event]:
        self._buffer += data
        events: list[Event] = []
        while self._step(events):
            pass
        return events

    def finish(self) -> None:
        """The input has ended. Raises `ValueError` when the form has not."""
        if self._state != "end":
            raise ValueError("the multipart form ends before its last boundary")

    def _step(self, events: list[Event]) -> bool:
        if self._state == "headers":
            return self._read_headers(events)
        if self._state == "boundary":
            return self._read_boundary_end()
        if self._state == "end":
            self._buffer.clear()
            return False
        position = self._buffer.find(self._delimiter)
        # Without a whole delimiter, its beginning may still be at the end of the buffer.
        ready = position if position >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        if self._state == "body" and ready:
            events.append(PartData(bytes(self._buffer[:ready])))
        del self._buffer[:ready]
        if position < 0:
            return False
        if self._state == "body":
            events.append(PartEnded())
        del self._buffer[: len(self._delimiter)]
        self._state = "boundary"
        return True

    def _read_boundary_end(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if self._buffer.startswith(b"--"):
            self._state = "end"
            return True
        if end < 0:
            if len(self._buffer) > _MAX_HEADERS:
                raise ValueError("a boundary line is too long")
            return False
        if self._buffer[:end].strip():
            raise ValueError("a boundary line holds more than the boundary")
        del self._buffer[: end + 2]
        self._state = "headers"
        return True

    def _read_headers(self, events: list[Event]) -> bool:
        if self._buffer.startswith(b"\r\n"):
            raise ValueError("a part has no Content-Disposition")
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MAX_HEADERS:
                raise ValueError("the headers of a part are too long")
            return False
        events.append(_parse_disposition(self._buffer[:end].decode("utf-8", "replace")))
        del self._buffer[: end + 4]
        self._state = "body"
        return True


def _parse_disposition(headers: str) -> PartBegun:
    for line in headers.split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            fields = {
                key.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else bare
                for key, quoted, bare in _PARAMETER.findall(value)
            }
            if "name" not in fields:
                break
            filename = fields.get("filename")
            if "filename*" in fields:
                filename = unquote(fields["filename*"].split("'", 2)[-1])
            return PartBegun(fields["name"], filename)
    raise ValueError("a part has no Content-Disposition with a name")
