"""The embedded server's routes, in one table, and the server that answers them."""

from __future__ import annotations

import random
import re
import socket
from typing import TYPE_CHECKING, Any

import tornado.httpserver
import tornado.iostream
import tornado.netutil
import tornado.web

from ..wire import routes
from . import limits
from .handlers import control, files, interpreters, ports, process, sessions, terminals
from .handlers.request import NotFoundHandler
from .toolbox.sandboxes import Sandboxes

if TYPE_CHECKING:
    from pathlib import Path

API = "/api"
TOOLBOX = "/toolbox/{sandbox_id}"

Row = tuple[str, type[tornado.web.RequestHandler], dict[str, Any]]

CONTROL_ROUTES: list[Row] = [
    (routes.CONFIG, control.ConfigHandler, {}),
    (routes.SANDBOXES, control.SandboxesHandler, {}),
    (routes.SANDBOX, control.SandboxHandler, {}),
    (routes.SANDBOX_START, control.StartHandler, {}),
    (routes.SANDBOX_STOP, control.StopHandler, {}),
    (routes.SANDBOX_LABELS, control.LabelsHandler, {}),
    (routes.SANDBOX_PUBLIC, control.PublicHandler, {}),
    (routes.SANDBOX_AUTO_STOP, control.IntervalHandler, {"name": "auto_stop"}),
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
    (routes.ENTRYPOINT_LOGS, sessions.EntrypointLogsHandler, {}),
    (routes.SESSION, sessions.SessionHandler, {}),
    (routes.SESSION_EXECUTE, sessions.SessionExecuteHandler, {}),
    (routes.COMMAND, sessions.CommandHandler, {}),
    (routes.COMMAND_INPUT, sessions.InputHandler, {}),
    (routes.COMMAND_LOGS, sessions.LogsHandler, {}),
    (routes.PTYS, terminals.TerminalsHandler, {}),
    (routes.PTY_CREATE_AND_CONNECT, terminals.CreateAndConnectHandler, {}),
    (routes.PTY, terminals.TerminalHandler, {}),
    (routes.PTY_CONNECT, terminals.ConnectHandler, {}),
    (routes.PTY_RESIZE, terminals.ResizeHandler, {}),
    (routes.INTERPRETER_CONTEXTS, interpreters.InterpretersHandler, {}),
    (routes.INTERPRETER_CONTEXT, interpreters.InterpreterHandler, {}),
    (routes.INTERPRETER_EXECUTE, interpreters.ExecuteHandler, {}),
    (routes.PORTS, ports.PortsHandler, {}),
    (routes.PORT_IN_USE, ports.PortInUseHandler, {}),
    (routes.PORT_PROXY + "{rest:.*}", ports.ProxyHandler, {}),
    (routes.FILES, files.FilesHandler, {}),
    (routes.FILES_INFO, files.InfoHandler, {}),
    (routes.FILES_FOLDER, files.FolderHandler, {}),
    (routes.FILES_MOVE, files.MoveHandler, {}),
    (routes.FILES_UPLOAD, files.UploadHandler, {}),
    (routes.FILES_UPLOAD_STREAM, files.UploadHandler, {}),
    (routes.FILES_BULK_UPLOAD, files.UploadHandler, {}),
    (routes.FILES_DOWNLOAD, files.DownloadHandler, {}),
    (routes.FILES_BULK_DOWNLOAD, files.BulkDownloadHandler, {}),
    (routes.FILES_FIND, files.FindHandler, {}),
    (routes.FILES_SEARCH, files.SearchHandler, {}),
    (routes.FILES_REPLACE, files.ReplaceHandler, {}),
    (routes.FILES_PERMISSIONS, files.PermissionsHandler, {}),
    (routes.WORK_DIR, files.DirectoryHandler, {"which": "workspace"}),
    (routes.HOME_DIR, files.DirectoryHandler, {"which": "home"}),
    (routes.VERSION, control.VersionHandler, {}),
]


def pattern(route: str) -> str:
    """Return the regular expression of a route: `{name}` captures up to a slash, `{name:regex}` that."""
    return re.sub(r"\{(\w+)(?::([^}]+))?\}", lambda m: f"(?P<{m[1]}>{m[2] or '[^/]+'})", route) + "$"


# Not the system's own choice: that may be a port that Jupyter has chosen in the same way for a kernel
# which is just being started, and which has begun this server before it binds its own.
_PORTS = range(10_000, 32_768)


class BoundedServer(tornado.httpserver.HTTPServer):
    """Refuses connections past the limit, so that those there are can be served."""

    def handle_stream(self, stream: tornado.iostream.IOStream, address: tuple[Any, ...]) -> None:
        if len(self._connections) >= limits.SOCKETS:
            stream.close()
        else:
            super().handle_stream(stream, address)


class Server:
    """The embedded Daytona: listens on `host` and `port` (0 for any), and holds sandboxes under `root`.

    `url` is what clients use as the API URL.
    """

    def __init__(
        self, root: Path, api_key: str, isolation: str, extra_routes: list[Row] | None = None
    ) -> None:
        self.sandboxes = Sandboxes(root, isolation)
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
        )
        self.host = ""
        self.port = 0

    def listen(self, host: str, port: int) -> None:
        """Begin to answer. Raises `OSError` when the port is taken."""
        sockets = _bind(host, port) if port else _bind_any(host)
        self._http.add_sockets(sockets)
        self.host = host
        self.port = sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}{API}"

    async def close(self) -> None:
        """End all sandboxes and connections; return when nothing is left."""
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
