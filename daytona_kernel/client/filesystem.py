"""Files of a sandbox: `sandbox.fs`, under the names of Daytona's SDK."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .api import AsyncToolboxApi, ToolboxApi
from .calls import files
from .models import FileUpload
from .multipart import MultipartFiles
from .twins import async_method, method


class FileSystem:
    """Files of a sandbox. Relative paths there start at its working directory."""

    def __init__(self, toolbox_api: ToolboxApi) -> None:
        self._api = toolbox_api

    list_files = method(files.list_files)
    get_file_info = method(files.get_file_info)
    delete_file = method(files.delete_file)
    create_folder = method(files.create_folder)
    move_files = method(files.move_files)

    def upload_file(self, source: bytes | str, remote_path: str) -> None:
        """Write a file: `source` is its bytes, or the path of a local file, read while it is sent.

        Raises OSError when the local file cannot be read.
        """
        self.upload_files([FileUpload(source, remote_path)])

    def upload_files(
        self, sources: Sequence[FileUpload], *, on_progress: Callable[[int], None] | None = None
    ) -> None:
        """Write several files with one request.

        on_progress: called with the bytes sent so far, from 0 again when a repeat begins anew.
        """
        self._api.run(files.upload(MultipartFiles(sources, on_progress)))

    def download_file(
        self,
        remote_path: str,
        local_path: str | None = None,
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> bytes | None:
        """Return a file's bytes; or, given a local path, write them there and return None.

        on_progress: called with the bytes written to the local file so far.

        The local file is there when it is complete, or not at all. Raises DaytonaNotFoundError when
        there is no such file.
        """
        if local_path is None:
            memory = _Memory()
            self._api.run(files.download(remote_path, memory))
            return memory.getvalue()
        with _new_file(local_path, on_progress) as sink:
            self._api.run(files.download(remote_path, sink))
        return None


class AsyncFileSystem:
    """The async form of `FileSystem`, with the same methods."""

    def __init__(self, toolbox_api: AsyncToolboxApi) -> None:
        self._api = toolbox_api

    list_files = async_method(files.list_files)
    get_file_info = async_method(files.get_file_info)
    delete_file = async_method(files.delete_file)
    create_folder = async_method(files.create_folder)
    move_files = async_method(files.move_files)

    async def upload_file(self, source: bytes | str, remote_path: str) -> None:
        """As `FileSystem.upload_file`."""
        await self.upload_files([FileUpload(source, remote_path)])

    async def upload_files(
        self, sources: Sequence[FileUpload], *, on_progress: Callable[[int], None] | None = None
    ) -> None:
        """As `FileSystem.upload_files`; `on_progress` is called in a thread."""
        body = await asyncio.to_thread(MultipartFiles, sources, on_progress)
        await self._api.run(files.upload(body))

    async def download_file(
        self,
        remote_path: str,
        local_path: str | None = None,
        *,
        on_progress: Callable[[int], None] | None = None,
    ) -> bytes | None:
        """As `FileSystem.download_file`."""
        if local_path is None:
            memory = _Memory()
            await self._api.run(files.download(remote_path, memory))
            return memory.getvalue()
        with _new_file(local_path, on_progress) as sink:
            await self._api.run(files.download(remote_path, sink))
        return None


class _Memory(io.BytesIO):
    """A sink in memory; its value is handed out without a copy."""

    def begin(self) -> None:
        self.seek(0)
        self.truncate()


class _LocalFile:
    """A sink that is a file."""

    def __init__(self, file: IO[bytes], on_progress: Callable[[int], None] | None) -> None:
        self._file = file
        self._on_progress = on_progress

    def begin(self) -> None:
        self._file.seek(0)
        self._file.truncate()

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        if self._on_progress is not None:
            self._on_progress(self._file.tell())


@contextmanager
def _new_file(path: str, on_progress: Callable[[int], None] | None = None) -> Iterator[_LocalFile]:
    """A sink that becomes the file at `path` when all has gone well."""
    target = Path(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(descriptor, "wb") as file:
            yield _LocalFile(file, on_progress)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
