"""The body of an upload: files as multipart/form-data, read while they are sent."""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .models import FileUpload

_PIECE = 1 << 20


class MultipartFiles:
    """Files and where they go, in the form that the toolbox's bulk upload reads.

    on_progress: called with how many bytes of the files are on their way, from 0 on at each attempt.

    Raises OSError when a local file cannot be read. Of a file that grows meanwhile goes what it held.
    """

    def __init__(
        self, files: Sequence[FileUpload], on_progress: Callable[[int], object] = lambda _sent: None
    ) -> None:
        self._on_progress = on_progress
        boundary = uuid.uuid4().hex
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._parts: list[tuple[bytes, bytes | str, int]] = []
        for number, file in enumerate(files):
            path = file.destination
            head = (
                f'--{boundary}\r\nContent-Disposition: form-data; name="files[{number}].path"\r\n\r\n'
                f"{path}\r\n"
                f'--{boundary}\r\nContent-Disposition: form-data; name="files[{number}].file"; '
                f'filename="{_quoted(path)}"\r\nContent-Type: application/octet-stream\r\n\r\n'
            )
            self._parts.append((head.encode(), file.source, _size(file.source)))
        self._end = f"--{boundary}--\r\n".encode()
        self.length = sum(len(head) + size + 2 for head, _, size in self._parts) + len(self._end)

    def pieces(self) -> Iterator[bytes]:
        sent = 0
        for head, source, size in self._parts:
            self._on_progress(sent)
            yield head
            for piece in _read(source, size):
                yield piece
                sent += len(piece)
                self._on_progress(sent)
            yield b"\r\n"
        yield self._end


def _read(source: bytes | str, size: int) -> Iterator[bytes]:
    """The first `size` bytes: as many as were announced."""
    if isinstance(source, bytes):
        view = memoryview(source)
        for start in range(0, size, _PIECE):
            yield bytes(view[start : start + _PIECE])
        return
    with Path(source).open("rb") as file:
        while size:
            piece = file.read(min(size, _PIECE))
            if not piece:
                raise OSError(errno.EIO, "became shorter while it was read", source)
            size -= len(piece)
            yield piece


def _size(source: bytes | str) -> int:
    return len(source) if isinstance(source, bytes) else os.stat(source).st_size


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
