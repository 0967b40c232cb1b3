"""The routes that send the contents of a sandbox's files."""

from __future__ import annotations

import contextlib
import json
import secrets
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

import tornado.iostream

from .. import failures, limits
from ..failures import ApiError
from .fields import string_list
from .files import FileHandler

if TYPE_CHECKING:
    from ..toolbox.files import FileStream


class SendingHandler(FileHandler):
    """A route whose answer has the contents of files."""

    _sending: FileStream | None = None

    async def send_file(self, content: FileStream, size: int) -> None:
        """Send exactly `size` bytes of a file, no faster than the client reads them.

        If the file has become shorter, zero bytes take the place of the missing ones.
        """
        self._sending = content
        left = size
        while left:
            most = min(left, limits.FILE_CHUNK_BYTES)
            piece = await content.read(most) or bytes(most)
            left -= len(piece)
            self.write(piece)
            await self.flush()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._sending is not None:
            self._sending.close()  # the sandbox may never send the rest


class DownloadHandler(SendingHandler):
    """Sends a file."""

    async def get(self) -> None:
        path = self.path()
        content, size = await self.sandbox.files.read(path)
        with contextlib.closing(content):
            self.set_header("Content-Type", "application/octet-stream")
            self.set_header("Content-Length", str(size))
            name = PurePosixPath(path).name
            self.set_header("Content-Disposition", f"attachment; {filename(name)}")
            await self.send_file(content, size)
        self.finish()


class BulkDownloadHandler(SendingHandler):
    """Sends many files as a multipart form.

    Each file is a part named `file`, or `error` with the refusal. The part's filename is the file's path.
    """

    async def post(self) -> None:
        paths = string_list(self.json_body(), "paths")
        if not paths:
            raise failures.bad_request("request body must be {paths: [ ... ]} and non-empty")
        boundary = secrets.token_hex(24)
        self.set_header("Content-Type", f"multipart/form-data; boundary={boundary}")
        with contextlib.suppress(tornado.iostream.StreamClosedError):
            for path in paths:
                await self._send(path, boundary)
            self.write(f"--{boundary}--\r\n")
        self.finish()

    async def _send(self, path: str, boundary: str) -> None:
        try:
            content, size = await self.sandbox.files.read(self.sandbox.absolute(path))
        except ApiError as failure:
            body = json.dumps(self.failure_body(failure)).encode()
            self._write_head(boundary, "error", path, "application/json", len(body))
            self.write(body + b"\r\n")
            return
        with contextlib.closing(content):
            self._write_head(boundary, "file", path, "application/octet-stream", size)
            await self.send_file(content, size)
            self.write(b"\r\n")

    def _write_head(self, boundary: str, name: str, path: str, kind: str, size: int) -> None:
        self.write(
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{name}"; {filename(path)}\r\n'
            f"Content-Type: {kind}\r\nContent-Length: {size}\r\n\r\n"
        )


def filename(path: str) -> str:
    """Return the header's parameter that names a file. A name that is not ASCII has two parameters."""
    plain = path.encode("ascii", "replace").decode().replace("\\", "\\\\").replace('"', '\\"')
    plain = "".join(character if character.isprintable() else "_" for character in plain)
    if plain == path:
        return f'filename="{plain}"'
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(path.encode('utf-8', 'surrogateescape'), safe='')}"
