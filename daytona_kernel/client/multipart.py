"""The body of an upload: files as multipart/form-data, read while they are sent."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .models import FileUpload

_PIECE = 1 << 20


class MultipartFiles:
    """Files and where they go, in the form that the toolbox's bulk upload reads.

    on_progress: called with the bytes given out so far; from 0 again when a repeat begins anew.

    Raises OSError when a local file cannot be read.
    """

    def __init__(self, files: Sequence[FileUpload], on_progress: Callable[[int], None] | None = None) -> None:
        self._on_progress = on_progress
        boundary = uuid.uuid4().hex
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._parts: list[tuple[bytes, bytes | str]] = []
        for number, file in enumerate(files):
            path = file.destination
            head = (
                f'--{boundary}\r\nContent-Disposition: form-data; name="files[{number}].path"\r\n\r\n'
                f"{path}\r\n"
                f'--{boundary}\r\nContent-Disposition: form-data; name="files[{number}].file"; '
                f'filename="{_quoted(path)}"\r\nContent-Type: application/octet-stream\r\n\r\n'
            )
            self._parts.append((head.encode(), file.source))
        self._end = f"--{boundary}--\r\n".encode()
        self.length = sum(len(head) + _size(source) + 2 for head, source in self._parts) + len(self._end)

    def pieces(self) -> Iterator[bytes]:
        done = 0
        for piece in self._pieces():
            done += len(piece)
            yield piece
            if self._on_progress is not None:
                self._on_progress(done)

    def _pieces(self) -> Iterator[bytes]:
        for head, source in self._parts:
            yield head
            if isinstance(source, bytes):
                view = memoryview(source)
                for start in range(0, len(source), _PIECE):
                    yield bytes(view[start : start + _PIECE])
            else:
                with Path(source).open("rb") as file:
                    while piece := file.read(_PIECE):
                        yield piece
            yield b"\r\n"
        yield self._end


def _size(source: bytes | str) -> int:
    return len(source) if isinstance(source, bytes) else os.stat(source).st_size


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
