"""The table of all routes, and the HTTP server that answers them."""

from __future__ import annotations

import random
import re
import socket
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import tornado.netutil
import tornado.web

from ..wire import routes
from . import limits
from .connections import BoundedServer
from .handlers import (
    control,
    downloads,
    files,
    interpreter_contexts,
    logs,
    ports,
    process,
    sandboxes,
    sessions,
    terminals,
    uploads,
)
from .handlers.request import NotFoundHandler
from .toolbox.profile import OWN
from .toolbox.sandboxes import Sandboxes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .box.isolation import Isolation
    from .toolbox.profile import Profile

API = "/api"
TOOLBOX = "/toolbox/{sandbox_id}"

Row = tuple[str, type[tornado.web.RequestHandler], dict[str, Any]]

CONTROL_ROUTES: list[Row] = [
    (routes.CONFIG, control.ConfigHandler, {}),
    (routes.SANDBOXES, sandboxes.SandboxesHandler, {}),
    (routes.SANDBOX, control.SandboxHandler, {}),
    (routes.SANDBOX_START, control.StartHandler, {}),
    (routes.SANDBOX_STOP, control.StopHandler, {}),
    (routes.SANDBOX_PAUSE, control.PauseHandler, {}),
    (routes.SANDBOX_LABELS, control.LabelsHandler, {}),
    (routes.SANDBOX_PUBLIC, control.PublicHandler, {}),
    (routes.SANDBOX_AUTO_STOP, control.IntervalHandler, {"name": "auto_stop"}),
    (routes.SANDBOX_AUTO_PAUSE, control.IntervalHandler, {"name": "auto_pause"}),
    (routes.SANDBOX_AUTO_ARCHIVE, control.IntervalHandler, {"name": "auto_archive"}),
    (routes.SANDBOX_AUTO_DELETE, control.IntervalHandler, {"name": "auto_delete"}),
    (routes.SANDBOX_LAST_ACTIVITY, control.LastActivityHandler, {}),
    (routes.SANDBOX_TOOLBOX_URL, control.ToolboxUrlHandler, {}),
    (routes.SANDBOX_PREVIEW_URL, control.PreviewUrlHandler, {}),
]

TOOLBOX_ROUTES: list[Row] = [
    (routes.EXECUTE, process.ExecuteHandler, {}),
    (routes.CODE_RUN, process.CodeRunHandler, {}),
    (routes.SESSIONS, sessions.SessionsHandler, {}),
    (routes.ENTRYPOINT, sessions.EntrypointHandler, {}),
    (routes.ENTRYPOINT_LOGS, logs.EntrypointLogsHandler, {}),
    (routes.SESSION, sessions.SessionHandler, {}),
    (routes.SESSION_EXECUTE, sessions.SessionExecuteHandler, {}),
    (routes.COMMAND, sessions.CommandHandler, {}),
    (routes.COMMAND_INPUT, sessions.InputHandler, {}),
    (routes.COMMAND_LOGS, logs.LogsHandler, {}),
    (routes.PTYS, terminals.TerminalsHandler, {}),
    (routes.PTY_CREATE_AND_CONNECT, terminals.CreateAndConnectHandler, {}),
    (routes.PTY, terminals.TerminalHandler, {}),
    (routes.PTY_CONNECT, terminals.ConnectHandler, {}),
    (routes.PTY_RESIZE, terminals.ResizeHandler, {}),
    (routes.INTERPRETER_CONTEXTS, interpreter_contexts.InterpreterContextsHandler, {}),
    (routes.INTERPRETER_CONTEXT, interpreter_contexts.InterpreterContextHandler, {}),
    (routes.INTERPRETER_EXECUTE, interpreter_contexts.InterpreterExecuteHandler, {}),
    (routes.PORTS, ports.PortsHandler, {}),
    (routes.PORT_IN_USE, ports.PortInUseHandler, {}),
    (routes.PORT_PROXY + "{rest:.*}", ports.ProxyHandler, {}),
    (routes.FILES, files.FilesHandler, {}),
    (routes.FILES_INFO, files.InfoHandler, {}),
    (routes.FILES_FOLDER, files.FolderHandler, {}),
    (routes.FILES_MOVE, files.MoveHandler, {}),
    (routes.FILES_UPLOAD, uploads.UploadHandler, {}),
    (routes.FILES_UPLOAD_STREAM, uploads.UploadHandler, {}),
    (routes.FILES_BULK_UPLOAD, uploads.UploadHandler, {}),
    (routes.FILES_DOWNLOAD, downloads.DownloadHandler, {}),
    (routes.FILES_BULK_DOWNLOAD, downloads.BulkDownloadHandler, {}),
    (routes.FILES_FIND, files.FindHandler, {}),
    (routes.FILES_SEARCH, files.SearchHandler, {}),
    (routes.FILES_REPLACE, files.ReplaceHandler, {}),
    (routes.FILES_PERMISSIONS, files.PermissionsHandler, {}),
    (routes.WORK_DIR, files.WorkDirHandler, {}),
    (routes.HOME_DIR, files.HomeDirHandler, {}),
    (routes.VERSION, control.VersionHandler, {}),
    (routes.METRICS, control.MetricsHandler, {}),
]


def pattern(route: str) -> str:
    """Return the regular expression for a route.

    `{name}` captures everything up to a slash; `{name:regex}` captures what `regex` matches.
    """
    return re.sub(r"\{(\w+)(?::([^}]+))?\}", lambda m: f"(?P<{m[1]}>{m[2] or '[^/]+'})", route) + "$"


# Below the range from which the system chooses free ports. Jupyter lets the system choose a kernel's ports,
# and the kernel starts this server before it binds them, so the system might give this server one of those.
_PORTS = range(10_000, 32_768)


class Server:
    """Daytona's API on a port of this machine, with sandboxes in `directory`.

    `isolation` isolates them, unless it is `None`. `snapshots` are the directories of the local snapshots, by
    name. `profile` says how the server behaves where servers of this API differ. Clients use `url` as the
    API's URL.
    """

    def __init__(
        self,
        directory: Path,
        api_key: str,
        isolation: Isolation | None,
        timings: limits.Timings,
        snapshots: Mapping[str, str] = MappingProxyType({}),
        profile: Profile = OWN,
        extra_routes: list[Row] | None = None,
    ) -> None:
        self.sandboxes = Sandboxes(directory, isolation, timings, snapshots, profile)
        rules = [(API + route, handler, options) for route, handler, options in extra_routes or []]
        rules += [(API + route, handler, options) for route, handler, options in CONTROL_ROUTES]
        rules += [(TOOLBOX + route, handler, options) for route, handler, options in TOOLBOX_ROUTES]
        application = tornado.web.Application(
            [(pattern(route), handler, options) for route, handler, options in rules],
            default_handler_class=NotFoundHandler,
            api_key=api_key,
            sandboxes=self.sandboxes,
            log_function=lambda _: None,
            websocket_max_message_size=limits.BODY_BYTES,
        )
        self._http = BoundedServer(
            application,
            max_header_size=limits.HEADER_BYTES,
            max_body_size=limits.BODY_BYTES,
            max_buffer_size=limits.BODY_BYTES,
            chunk_size=limits.FILE_CHUNK_BYTES,
            idle_connection_timeout=limits.IDLE_SECONDS,
        )
        application.settings["connections"] = self._http
        self.host = ""
        self.port = 0

    def listen(self, host: str, port: int) -> None:
        """Start to answer on `port`; 0 means any free port. Raises `OSError` if the port is taken."""
        sockets = _bind(host, port) if port else _bind_any(host)
        self._http.add_sockets(sockets)
        self.host = host
        self.port = sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """The API's URL."""
        return f"http://{self.host}:{self.port}{API}"

    async def close(self) -> None:
        """Delete all sandboxes and close all connections. Return when that is done."""
        self._http.stop()
        await self.sandboxes.close()
        await self._http.close_all_connections()


def _bind(host: str, port: int) -> list[socket.socket]:
    family = socket.AF_INET if host == "127.0.0.1" else socket.AF_UNSPEC
    return tornado.netutil.bind_sockets(port, host, family=family)


def _bind_any(host: str) -> list[socket.socket]:
    for port in random.sample(_PORTS, 100):
        try:
            return _bind(host, port)
        except OSError:
            continue
    return _bind(host, 0)
