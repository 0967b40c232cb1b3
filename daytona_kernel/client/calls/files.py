"""Files in the sandbox. Relative paths start at its working directory."""

from __future__ import annotations

from .. import operations
from ..exchange import Body, Call, Request, Sink
from ..models import FileInfo
from ..retries import send


def upload(body: Body) -> Call[None]:
    """Write files; `multipart` makes the body."""
    yield from send(Request(operations.UPLOAD_FILES, body=body))


def download(path: str, sink: Sink) -> Call[None]:
    """Read a file into a sink, piece by piece. Raises DaytonaNotFoundError when there is none."""
    request = Request(operations.DOWNLOAD_FILE, query={"path": path}, sink=sink)
    yield from send(request)


def list_files(path: str = ".") -> Call[list[FileInfo]]:
    """Return what is in a folder. Raises DaytonaNotFoundError when there is none."""
    response = yield from send(Request(operations.LIST_FILES, query={"path": path}))
    return [FileInfo.from_json(entry) for entry in response.json() or []]


def get_file_info(path: str) -> Call[FileInfo]:
    """Return what is known of a file or folder. Raises DaytonaNotFoundError when there is none."""
    response = yield from send(Request(operations.FILE_INFO, query={"path": path}))
    return FileInfo.from_json(response.json())


def delete_file(path: str, recursive: bool = False) -> Call[None]:
    """Delete a file; a folder only with `recursive`. Raises DaytonaNotFoundError when there is none."""
    query = {"path": path} | ({"recursive": "true"} if recursive else {})
    yield from send(Request(operations.DELETE_FILE, query=query))


def create_folder(path: str, mode: str = "0755") -> Call[None]:
    """Create a folder and those above it. mode: its permissions, octal."""
    yield from send(Request(operations.CREATE_FOLDER, query={"path": path, "mode": mode}))


def move_files(source: str, destination: str) -> Call[None]:
    """Move or rename a file or folder. Raises DaytonaNotFoundError when there is none."""
    yield from send(Request(operations.MOVE_FILE, query={"source": source, "destination": destination}))


def get_work_dir() -> Call[str]:
    """Return the directory in which commands start."""
    response = yield from send(Request(operations.WORK_DIR))
    return str(response.json()["dir"])


def get_user_home_dir() -> Call[str]:
    """Return the home directory of the sandbox's user."""
    response = yield from send(Request(operations.HOME_DIR))
    return str(response.json()["dir"])


def get_version() -> Call[str]:
    """Return the version of the toolbox in the sandbox."""
    response = yield from send(Request(operations.VERSION))
    return str(response.json()["version"])
