"""`sandbox.fs`: the files of a sandbox, with the method names of Daytona's SDK."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .models.files import FileUpload
from .multipart import MultipartFiles
from .operations import files
from .twins import async_method, method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .api import AsyncToolboxApi, ToolboxApi
    from .exchange import Sink


class FileSystem:
    """The files of a sandbox. Relative paths start at the sandbox's working directory."""

    def __init__(self, toolbox_api: ToolboxApi) -> None:
        self._api = toolbox_api

    download_each = method(files.download_each)
    list_files = method(files.list_files)
    get_file_info = method(files.get_file_info)
    delete_file = method(files.delete_file)
    create_folder = method(files.create_folder)
    move_files = method(files.move_files)

    def upload_file(self, source: bytes | str, remote_path: str) -> None:
        """Write a file in the sandbox.

        source: the file's bytes, or the path of a local file.

        Raises OSError if the local file cannot be read.
        """
        self.upload_files([FileUpload(source, remote_path)])

    def upload_files(
        self, sources: Sequence[FileUpload], *, on_progress: Callable[[int], object] | None = None
    ) -> None:
        """Write several files in the sandbox with one request.

        on_progress: called, from any thread, with the number of bytes sent so far. The number starts
            again at 0 if a broken connection makes the client repeat the request.

        Raises OSError if a local file cannot be read.
        """
        self._api.run(files.upload(MultipartFiles(sources, on_progress or _ignore)))

    def download_file(self, remote_path: str, local_path: str | Sink | None = None) -> bytes | None:
        """Return a file's bytes, or write them to a local file or a sink and return None.

        local_path: the path of a local file, which appears only when it is complete; or a sink with
            the methods `reset()`, which discards everything written so far, and `write(piece)`.

        Raises DaytonaNotFoundError if the file does not exist.
        """
        if local_path is None:
            memory = _Memory()
            self._api.run(files.download(remote_path, memory))
            return memory.getvalue()
        if not isinstance(local_path, str):
            self._api.run(files.download(remote_path, local_path))
            return None
        with _new_file(local_path) as sink:
            self._api.run(files.download(remote_path, sink))
        return None


class AsyncFileSystem:
    """The async form of `FileSystem`, with the same methods."""

    def __init__(self, toolbox_api: AsyncToolboxApi) -> None:
        self._api = toolbox_api

    download_each = async_method(files.download_each)
    list_files = async_method(files.list_files)
    get_file_info = async_method(files.get_file_info)
    delete_file = async_method(files.delete_file)
    create_folder = async_method(files.create_folder)
    move_files = async_method(files.move_files)

    async def upload_file(self, source: bytes | str, remote_path: str) -> None:
        """See `FileSystem.upload_file`."""
        await self.upload_files([FileUpload(source, remote_path)])

    async def upload_files(
        self, sources: Sequence[FileUpload], *, on_progress: Callable[[int], object] | None = None
    ) -> None:
        """See `FileSystem.upload_files`."""
        body = await asyncio.to_thread(MultipartFiles, sources, on_progress or _ignore)
        await self._api.run(files.upload(body))

    async def download_file(self, remote_path: str, local_path: str | Sink | None = None) -> bytes | None:
        """See `FileSystem.download_file`."""
        if local_path is None:
            memory = _Memory()
            await self._api.run(files.download(remote_path, memory))
            return memory.getvalue()
        if not isinstance(local_path, str):
            await self._api.run(files.download(remote_path, local_path))
            return None
        with _new_file(local_path) as sink:
            await self._api.run(files.download(remote_path, sink))
        return None


def _ignore(_sent: int) -> None:
    pass


class _Memory(io.BytesIO):
    """A sink in memory. `getvalue` copies nothing."""

    def reset(self) -> None:
        self.seek(0)
        self.truncate()


class _LocalFile:
    """A sink that writes to a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def reset(self) -> None:
        self._file.seek(0)
        self._file.truncate()

    def write(self, piece: bytes) -> None:
        self._file.write(piece)


@contextmanager
def _new_file(path: str) -> Iterator[_LocalFile]:
    """Yield a sink for a temporary file, which becomes the file at `path` if no exception is raised."""
    target = Path(path)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield _LocalFile(file)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    except BaseException:
        temporary.unlink()
        raise
