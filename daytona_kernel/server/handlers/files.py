"""The routes of files. Paths in a request may be relative to the sandbox's working directory."""

from __future__ import annotations

import contextlib
import json
import secrets
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import tornado.http1connection
import tornado.iostream
import tornado.web

from .. import failures, limits
from ..failures import ApiError
from .fields import field, parse_integer, string_list
from .multipart import FormReader, PartData, PartEnded, PartStarted
from .request import ToolboxHandler

if TYPE_CHECKING:
    from ..toolbox.files import FileStream


_ALL_MODES = 0o7777


class FileHandler(ToolboxHandler):
    """A route whose query names files."""

    _is_admitted = False  # whether a refusal now is one of the file operation

    def prepare(self) -> None:
        super().prepare()
        self._is_admitted = True

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        failure = kwargs.get("exc_info", (None, None))[1]
        if isinstance(failure, ApiError) and self._is_admitted:
            failure.empty = not self.sandbox.profile.explains_refusals
        super().write_error(status_code, **kwargs)

    def path(self, name: str = "path", default: str | None = None) -> str:
        """Return a path of the query as an absolute path. Raises `ApiError` 400 if it is missing."""
        path = self.get_query_argument(name, default or "", strip=False)
        if not path:
            raise failures.bad_request(f"{name} is required")
        return self.sandbox.absolute(path)

    def mode(self, required: bool) -> int | None:
        """Return the query's octal mode, or `None`. Raises `ApiError` 400 if it is wrong or missing."""
        text = self.get_query_argument("mode", "")
        if not text and not required:
            return None
        mode = parse_integer(text, "mode", 8)
        if not 0 <= mode <= _ALL_MODES:
            raise failures.bad_request("invalid mode format")
        return mode


class FilesHandler(FileHandler):
    """Lists a directory, or deletes a file or a directory."""

    async def get(self) -> None:
        depth = parse_integer(self.get_query_argument("depth", "") or "1", "depth")
        if depth < 1:
            raise failures.bad_request("depth must be at least 1")
        path = self.path(default=self.sandbox.work_dir)
        self.answer(await self.sandbox.files.run("listing", path=path, depth=depth))

    async def delete(self) -> None:
        recursive = self.get_query_argument("recursive", "") == "true"
        await self.sandbox.files.run("delete", path=self.path(), recursive=recursive)
        self.set_status(204)
        self.finish()


class InfoHandler(FileHandler):
    """Describes a file."""

    async def get(self) -> None:
        self.answer(await self.sandbox.files.run("info", path=self.path()))


class FolderHandler(FileHandler):
    """Creates a directory."""

    async def post(self) -> None:
        await self.sandbox.files.run("folder", path=self.path(), mode=self.mode(required=True))
        self.set_status(201)
        self.finish()


class MoveHandler(FileHandler):
    """Moves a file or a directory."""

    async def post(self) -> None:
        source, destination = self.path("source"), self.path("destination")
        await self.sandbox.files.run("move", source=source, destination=destination)
        self.finish()


class PermissionsHandler(FileHandler):
    """Changes a file's mode, owner or group."""

    async def post(self) -> None:
        await self.sandbox.files.run(
            "permissions",
            path=self.path(),
            mode=self.mode(required=False),
            owner=self.get_query_argument("owner", ""),
            group=self.get_query_argument("group", ""),
        )
        self.finish()


class FindHandler(FileHandler):
    """Finds the lines that contain a text, in all files of a directory."""

    async def get(self) -> None:
        pattern = self.get_query_argument("pattern", strip=False)
        self.answer(await self.sandbox.files.run("find", path=self.path(), pattern=pattern))


class SearchHandler(FileHandler):
    """Finds files by name."""

    async def get(self) -> None:
        pattern = self.get_query_argument("pattern", strip=False)
        self.answer(await self.sandbox.files.run("search", path=self.path(), pattern=pattern))


class ReplaceHandler(FileHandler):
    """Replaces a text in files."""

    async def post(self) -> None:
        body = self.json_body()
        files = [self.sandbox.absolute(path) for path in string_list(body, "files")]
        self.answer(
            await self.sandbox.files.run(
                "replace",
                files=files,
                pattern=field(body, "pattern", str),
                value=field(body, "newValue", str, ""),
            )
        )


class UploadHandler(FileHandler):
    """Writes one file to the query's `path`, or many files from one form.

    In a form with many files, `files[N].path` says where `files[N].file` goes.
    """

    _form: FormReader | None = None  # `None` while nothing is to be read: before `prepare`, or refused
    _file: FileStream | None = None  # the content of the file that is being written

    def prepare(self) -> None:
        super().prepare()
        self._field = ""
        self._value = b""
        self._paths: dict[str, str] = {}
        self._uploaded: list[str] = []
        connection = self.request.connection
        if isinstance(connection, tornado.http1connection.HTTP1Connection):
            connection.set_max_body_size(limits.UPLOAD_BYTES)
        try:
            self._form = FormReader(self.request.headers.get("Content-Type", ""))
        except ValueError as error:
            raise failures.bad_request(str(error)) from None

    async def data_received(self, chunk: bytes) -> None:
        if self._form is None:
            return
        try:
            for event in self._form.feed(chunk):
                if isinstance(event, PartStarted):
                    await self._start_part(event)
                elif isinstance(event, PartData):
                    await self._add_data(event.data)
                elif isinstance(event, PartEnded):
                    await self._end_part()
        except ValueError as error:
            self._refuse(failures.bad_request(str(error)))
        except ApiError as error:
            self._refuse(error)

    @property
    def _is_bulk(self) -> bool:
        return self.request.path.endswith("/bulk-upload")

    def _refuse(self, error: ApiError) -> None:
        """Answer now. Tornado sends no answer for an exception that is raised while it reads a body."""
        self._form = None
        self.send_error(error.status, exc_info=(ApiError, error, None))

    async def _start_part(self, part: PartStarted) -> None:
        self._field = part.name
        self._value = b""
        if not part.is_file:
            return
        number = part.name.removesuffix(".file")
        path = self._paths.get(number) or self.get_query_argument("path", "")
        if not path:
            raise ValueError(f"{number}.path is missing")
        path = self.sandbox.absolute(path)
        self._uploaded.append(path)
        self._file = await self.sandbox.files.write(path)

    async def _add_data(self, data: bytes) -> None:
        if self._file is not None:
            await self._file.write(data)
        elif len(self._value) + len(data) <= limits.HEADER_BYTES:
            self._value += data
        else:
            raise ValueError("a field of the form is too long")

    async def _end_part(self) -> None:
        if self._file is not None:
            await self._file.finish()
        else:
            self._paths[self._field.removesuffix(".path")] = self._value.decode("utf-8", "surrogateescape")
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def post(self) -> None:
        if self._form is None:
            return
        try:
            self._form.finish()
        except ValueError as error:
            raise failures.bad_request(str(error)) from None
        if not self._uploaded:
            raise failures.bad_request("the form contains no file")
        if self._is_bulk:
            self.finish()
        else:
            path = self._uploaded[-1]
            self.answer({"name": PurePosixPath(path).name, "path": path, "type": "file"})

    def on_finish(self) -> None:
        self._close_file()
        super().on_finish()

    def on_connection_close(self) -> None:
        self._close_file()
        super().on_connection_close()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Connection", "close")  # the server does not read the rest of the upload
        failure = kwargs.get("exc_info", (None, None))[1]
        if (
            self._is_admitted
            and isinstance(failure, ApiError)
            and self._is_bulk
            and not self.sandbox.profile.explains_refusals
        ):
            where = self._uploaded[-1] if self._uploaded else "reading part"
            self.answer({"errors": [f"{where}: {failure.message}"], "files": None}, 400)
        else:
            super().write_error(status_code, **kwargs)


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
            self._sending.stop()  # the sandbox may never send the rest


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


class WorkDirHandler(ToolboxHandler):
    """The path of the working directory."""

    def get(self) -> None:
        self.answer({"dir": self.sandbox.work_dir})


class HomeDirHandler(ToolboxHandler):
    """The path of the home directory."""

    def get(self) -> None:
        self.answer({"dir": self.sandbox.layout.home})
