"""The table of operations: the method and the route of each, and when it may be repeated.

ALWAYS: the operation reads, or twice has the same effect as once. It is repeated after a broken
connection and after 429, 502, 503 and 504.
UNSENT: the operation must not happen twice; a command is an example. It is repeated only if it
certainly did not happen: no connection could be made, or the status is 429.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import quote

from ...wire import routes

if TYPE_CHECKING:
    from collections.abc import Mapping


class Repeat(Enum):
    """When an operation may be repeated."""

    ALWAYS = "always"
    UNSENT = "unsent"


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the table: an HTTP method, a route of `wire.routes`, and when it may be repeated."""

    method: str
    route: str
    repeat: Repeat

    def path(self, fields: Mapping[str, str]) -> str:
        """Return the route with its fields filled in, each quoted as one segment of the path."""
        return self.route.format_map({name: _segment(value) for name, value in fields.items()})


def _segment(value: str) -> str:
    # Quoting does not change "." and "..", which servers resolve as steps in the path.
    return "%2E" * len(value) if value in (".", "..") else quote(value, safe="")


ALWAYS, UNSENT = Repeat.ALWAYS, Repeat.UNSENT

# Control plane
CREATE_SANDBOX = Operation("POST", routes.SANDBOXES, UNSENT)
LIST_SANDBOXES = Operation("GET", routes.SANDBOXES, ALWAYS)
GET_SANDBOX = Operation("GET", routes.SANDBOX, ALWAYS)
DELETE_SANDBOX = Operation("DELETE", routes.SANDBOX, ALWAYS)
START_SANDBOX = Operation("POST", routes.SANDBOX_START, UNSENT)
STOP_SANDBOX = Operation("POST", routes.SANDBOX_STOP, UNSENT)
PAUSE_SANDBOX = Operation("POST", routes.SANDBOX_PAUSE, UNSENT)
UPDATE_SECRETS = Operation("PUT", routes.SANDBOX_SECRETS, ALWAYS)
LIST_SECRETS = Operation("GET", routes.SECRETS, ALWAYS)
SET_LABELS = Operation("PUT", routes.SANDBOX_LABELS, ALWAYS)
SET_AUTO_STOP = Operation("POST", routes.SANDBOX_AUTO_STOP, ALWAYS)
SET_AUTO_PAUSE = Operation("POST", routes.SANDBOX_AUTO_PAUSE, ALWAYS)
SET_AUTO_ARCHIVE = Operation("POST", routes.SANDBOX_AUTO_ARCHIVE, ALWAYS)
SET_AUTO_DELETE = Operation("POST", routes.SANDBOX_AUTO_DELETE, ALWAYS)
REFRESH_ACTIVITY = Operation("POST", routes.SANDBOX_LAST_ACTIVITY, ALWAYS)
GET_TOOLBOX_URL = Operation("GET", routes.SANDBOX_TOOLBOX_URL, ALWAYS)
GET_PREVIEW_URL = Operation("GET", routes.SANDBOX_PREVIEW_URL, ALWAYS)

# Toolbox
EXECUTE = Operation("POST", routes.EXECUTE, UNSENT)
CODE_RUN = Operation("POST", routes.CODE_RUN, UNSENT)
CREATE_SESSION = Operation("POST", routes.SESSIONS, UNSENT)
LIST_SESSIONS = Operation("GET", routes.SESSIONS, ALWAYS)
GET_SESSION = Operation("GET", routes.SESSION, ALWAYS)
DELETE_SESSION = Operation("DELETE", routes.SESSION, ALWAYS)
SESSION_EXECUTE = Operation("POST", routes.SESSION_EXECUTE, UNSENT)
GET_COMMAND = Operation("GET", routes.COMMAND, ALWAYS)
SEND_INPUT = Operation("POST", routes.COMMAND_INPUT, UNSENT)
GET_LOGS = Operation("GET", routes.COMMAND_LOGS, ALWAYS)
LIST_FILES = Operation("GET", routes.FILES, ALWAYS)
DELETE_FILE = Operation("DELETE", routes.FILES, ALWAYS)
FILE_INFO = Operation("GET", routes.FILES_INFO, ALWAYS)
CREATE_FOLDER = Operation("POST", routes.FILES_FOLDER, ALWAYS)
MOVE_FILE = Operation("POST", routes.FILES_MOVE, UNSENT)
UPLOAD_FILES = Operation("POST", routes.FILES_BULK_UPLOAD, ALWAYS)
DOWNLOAD_FILE = Operation("GET", routes.FILES_DOWNLOAD, ALWAYS)
DOWNLOAD_FILES = Operation("POST", routes.FILES_BULK_DOWNLOAD, ALWAYS)
WORK_DIR = Operation("GET", routes.WORK_DIR, ALWAYS)
HOME_DIR = Operation("GET", routes.HOME_DIR, ALWAYS)
METRICS = Operation("GET", routes.METRICS, ALWAYS)
VERSION = Operation("GET", routes.VERSION, ALWAYS)
