"""The answer to a bulk download: files as multipart/form-data, written while they arrive.

The sandbox writes the answer, so the client checks all of it: each part must be a file that was asked for, at
most once, and the last boundary must come. python-multipart finds the parts. The boundary is read from
the body's first line, since a sink does not see the headers.
"""

from __future__ import annotations

import re
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_to_bytes

from python_multipart import MultipartParser

from ..errors import DaytonaError, DaytonaFileNotFoundError
from ..wire.part_headers import PartHeaders
from ..wire.schema import ProtocolError, parse_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from python_multipart.multipart import MultipartCallbacks

_MOST_BOUNDARY = 200
_MOST_HEADER = 16 << 10
_MOST_ERROR = 64 << 10
_MOST_MESSAGE = 2000

_QUOTED_NAME = re.compile(rb'\bfilename="((?:[^"\\]|\\.)*)"', re.DOTALL)
_EXTENDED_NAME = re.compile(rb"\bfilename\*=utf-8''([^;\s]+)", re.IGNORECASE)


class Writer(Protocol):
    """A file that is being received."""

    def write(self, piece: bytes, /) -> object:
        """Take the next bytes of the file."""
        ...


class FileParts:
    """A sink for the files of a bulk download; see `exchange.Sink`.

    paths: the files that were asked for.
    open_file: opens the file of a path. The context ends without an exception when the file is complete.

    Raises DaytonaError for an answer of another form, and for a file that the sandbox could not read.
    """

    def __init__(
        self, paths: Iterable[str], open_file: Callable[[str], AbstractContextManager[Writer]]
    ) -> None:
        self._missing = dict.fromkeys(paths)
        self._received: set[str] = set()
        self._open_file = open_file
        # A write in a thread may continue while its task is canceled.
        self._lock = threading.Lock()
        self._headers = PartHeaders()
        self._is_closed = False
        self._opened: AbstractContextManager[Writer] | None = None
        self.reset()

    def reset(self) -> None:
        """Discard the part of a broken attempt. Complete files stay, and the next attempt skips them."""
        self._abandon_file()
        self._head = b""
        self._parser: MultipartParser | None = None
        self._is_complete = False

    def write(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        with self._lock:
            if self._is_closed:
                return
            if self._parser is None:
                self._head += piece
                if b"\r\n" not in self._head and len(self._head) < _MOST_BOUNDARY:
                    return
                self._parser = self._start(self._head.partition(b"\r\n")[0])
                piece, self._head = self._head, b""
            try:
                self._parser.write(piece)
            except ValueError:
                raise _malformed() from None

    def finish(self) -> None:
        """Check that all files have arrived."""
        if not self._is_complete or self._missing:
            raise DaytonaError(
                f"The sandbox sent {len(self._received):,} files and not the other {len(self._missing):,}."
            )

    def close(self) -> None:
        """Discard what is incomplete, and take nothing more."""
        with self._lock:
            self._is_closed = True
            self._abandon_file()

    def _start(self, line: bytes) -> MultipartParser:
        boundary = line.removeprefix(b"--")
        if boundary == line or not 0 < len(boundary) < _MOST_BOUNDARY:
            raise _malformed()
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._start_part,
            "on_header_field": self._headers.add_to_name,
            "on_header_value": self._headers.add_to_value,
            "on_header_end": self._headers.end,
            "on_headers_finished": self._open_part,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        try:
            return MultipartParser(boundary, callbacks, max_header_size=_MOST_HEADER)
        except ValueError:
            raise _malformed() from None

    # The parser's callbacks

    def _start_part(self) -> None:
        self._headers.start()
        self._error: bytes | None = None
        self._writer: Writer | None = None

    def _open_part(self) -> None:
        path = _path_of(self._headers.disposition)
        rest = _QUOTED_NAME.sub(b"", self._headers.disposition)
        if re.search(rb'\bname="?error\b', rest):
            self._error = b""
        elif path in self._missing:
            self._path = path
            self._opened = self._open_file(path)
            self._writer = self._opened.__enter__()
        elif path not in self._received:
            raise DaytonaError("The sandbox sent a file that was not asked for.")

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._writer is not None:
            self._writer.write(data[start:end])
        elif self._error is not None and len(self._error) < _MOST_ERROR:
            self._error += data[start:end]

    def _end_part(self) -> None:
        if self._error is not None:
            raise _error_in(self._error)
        if self._opened is not None:
            opened, self._opened = self._opened, None
            opened.__exit__(None, None, None)
            del self._missing[self._path]
            self._received.add(self._path)

    def _end(self) -> None:
        self._is_complete = True

    def _abandon_file(self) -> None:
        if self._opened is not None:
            opened, self._opened = self._opened, None
            abandoned = DaytonaError("The file did not arrive complete.")
            opened.__exit__(DaytonaError, abandoned, None)


def _path_of(disposition: bytes) -> str:
    """Return the path in a part's Content-Disposition; the extended form has characters beyond ASCII."""
    quoted = _QUOTED_NAME.search(disposition)
    extended = _EXTENDED_NAME.search(_QUOTED_NAME.sub(b"", disposition))
    if extended is not None:
        return unquote_to_bytes(extended[1]).decode("utf-8", "replace")
    return re.sub(rb"\\(.)", rb"\1", quoted[1]).decode("utf-8", "replace") if quoted is not None else ""


def _error_in(body: bytes) -> DaytonaError:
    try:
        content = parse_object(body)
    except ProtocolError:
        content = {}
    message = content.get("message")
    text = (
        message[:_MOST_MESSAGE] if isinstance(message, str) else "The sandbox cannot read one of the files."
    )
    kind = DaytonaFileNotFoundError if content.get("statusCode") == HTTPStatus.NOT_FOUND else DaytonaError
    return kind(text)


def _malformed() -> DaytonaError:
    return DaytonaError("The sandbox's answer to a download is malformed.")
