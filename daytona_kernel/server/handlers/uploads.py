"""The routes that write files of a sandbox from a form, piece by piece."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import tornado.http1connection

from .. import failures, limits
from ..failures import ApiError
from .files import FileHandler
from .multipart import FormReader, PartData, PartEnded, PartStarted

if TYPE_CHECKING:
    from ..toolbox.files import FileStream


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
            self.is_admitted
            and isinstance(failure, ApiError)
            and self._is_bulk
            and not self.sandbox.profile.explains_refusals
        ):
            where = self._uploaded[-1] if self._uploaded else "reading part"
            self.answer({"errors": [f"{where}: {failure.message}"], "files": None}, 400)
        else:
            super().write_error(status_code, **kwargs)
