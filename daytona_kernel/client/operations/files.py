"""The operations on files in a sandbox. Relative paths start at its working directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import DaytonaError
from ..error_responses import file_error_of
from ..exchange import Body, Exchange, Request, Response, Sink, Step
from ..file_parts import FileParts, Writer
from ..models.files import FileInfo
from ..models.sandboxes import SandboxUsage
from ..retries import send
from . import table

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager


def _send(request: Request, path: str) -> Generator[Step, Any, Response]:
    """Send a request about the file at `path`. Raises the exceptions of `send`, which then name the file."""
    try:
        return (yield from send(request))
    except DaytonaError as error:
        raise file_error_of(error, path) from None


def upload(body: Body) -> Exchange[None]:
    """Write files. `multipart.MultipartFiles` is the body."""
    yield from _send(Request(table.UPLOAD_FILES, body=body), "one of the files")


def download(path: str, sink: Sink) -> Exchange[None]:
    """Read a file into a sink, piece by piece. Raises DaytonaFileNotFoundError if it does not exist."""
    request = Request(table.DOWNLOAD_FILE, query={"path": path}, sink=sink)
    yield from _send(request, path)


def download_each(
    paths: Sequence[str], open_file: Callable[[str], AbstractContextManager[Writer]]
) -> Exchange[None]:
    """Read several files with one request, each into what `open_file` opens for its path.

    The context that `open_file` returns ends without an exception when its file is complete. If a broken
    connection makes the client repeat the request, the files that were not complete are opened again.

    Raises DaytonaFileNotFoundError if one does not exist, and DaytonaError for an answer with other files.
    """
    parts = FileParts(paths, open_file)
    try:
        yield from send(Request(table.DOWNLOAD_FILES, json={"paths": list(paths)}, sink=parts))
        parts.finish()
    finally:
        parts.close()


def list_files(path: str = ".") -> Exchange[list[FileInfo]]:
    """Return the files and folders in a folder. Raises DaytonaFileNotFoundError if it does not exist."""
    response = yield from _send(Request(table.LIST_FILES, query={"path": path}), path)
    return [FileInfo.from_json(entry) for entry in response.json() or []]


def get_file_info(path: str) -> Exchange[FileInfo]:
    """Return the size, times and permissions of a file or folder.

    Raises DaytonaFileNotFoundError if it does not exist.
    """
    response = yield from _send(Request(table.FILE_INFO, query={"path": path}), path)
    return FileInfo.from_json(response.json())


def delete_file(path: str, recursive: bool = False) -> Exchange[None]:
    """Delete a file, or with `recursive` a folder. Raises DaytonaFileNotFoundError if it does not exist."""
    query = {"path": path} | ({"recursive": "true"} if recursive else {})
    yield from _send(Request(table.DELETE_FILE, query=query), path)


def create_folder(path: str, mode: str = "0755") -> Exchange[None]:
    """Create a folder and the folders above it.

    mode: its permissions, as an octal number.
    """
    yield from _send(Request(table.CREATE_FOLDER, query={"path": path, "mode": mode}), path)


def move_files(source: str, destination: str) -> Exchange[None]:
    """Move or rename a file or folder. Raises DaytonaFileNotFoundError if it does not exist."""
    query = {"source": source, "destination": destination}
    yield from _send(Request(table.MOVE_FILE, query=query), f"{source} or {destination}")


def get_work_dir() -> Exchange[str]:
    """Return the directory that commands start in."""
    response = yield from send(Request(table.WORK_DIR))
    return str(response.json()["dir"])


def get_user_home_dir() -> Exchange[str]:
    """Return the home directory of the sandbox's user."""
    response = yield from send(Request(table.HOME_DIR))
    return str(response.json()["dir"])


def get_version() -> Exchange[str]:
    """Return the version of the sandbox's toolbox."""
    response = yield from send(Request(table.VERSION))
    return str(response.json()["version"])


def get_usage() -> Exchange[SandboxUsage]:
    """Return what the sandbox uses now. Raises DaytonaError, also if the toolbox does not measure it."""
    response = yield from send(Request(table.METRICS))
    try:
        return SandboxUsage.from_json(response.json())
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DaytonaError(f"The sandbox's toolbox gave no figures of its use: {error!r}") from None
