"""The body of an upload: files as multipart/form-data, read while they are sent.

httpx would read the files on the event loop, and reports no progress.
"""

from __future__ import annotations

import errno
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .models.files import FileUpload

_PIECE = 1 << 20


class MultipartFiles:
    """A request body with files and their destinations, for the toolbox's bulk upload.

    on_progress: called with the number of the files' bytes sent so far; each attempt starts at 0.

    Raises OSError if a local file cannot be read. If a file grows during the upload, the bytes that
    it had at first are sent.
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
        """Yield the body from its first byte. Raises OSError if a local file cannot be read."""
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
    """Yield the first `size` bytes, the number in the request's Content-Length."""
    if isinstance(source, bytes):
        view = memoryview(source)
        for start in range(0, size, _PIECE):
            yield bytes(view[start : start + _PIECE])
        return
    with Path(source).open("rb") as file:
        while size:
            piece = file.read(min(size, _PIECE))
            if not piece:
                raise OSError(errno.EIO, "the file shrank during the upload", source)
            size -= len(piece)
            yield piece


def _size(source: bytes | str) -> int:
    return len(source) if isinstance(source, bytes) else Path(source).stat().st_size


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
