"""The official SDK's generated models can read the JSON of every route."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

import pytest
import tornado.web
import tornado.websocket
from daytona_api_client import models as control
from daytona_toolbox_api_client import models as toolbox_models
from pydantic import BaseModel

from daytona_kernel.server.app import CONTROL_ROUTES, TOOLBOX_ROUTES
from daytona_kernel.wire import routes
from tests.server.conftest import make_toolbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer, Toolbox

TEXT = dict[str, str]
EMPTY = None

# (method, route, fields of the route and arguments of the request, shape of the answer)
CONTROL: list[tuple[str, str, Any, Any]] = [
    ("GET", routes.CONFIG, {}, control.DaytonaConfiguration),
    ("GET", routes.SANDBOXES, {}, control.ListSandboxesResponse),
    ("GET", routes.SANDBOX, {}, control.Sandbox),
    ("GET", routes.SANDBOX_TOOLBOX_URL, {}, control.ToolboxProxyUrl),
    ("GET", routes.SANDBOX_PREVIEW_URL, {"port": "3000"}, control.PortPreviewUrl),
    ("PUT", routes.SANDBOX_LABELS, {"json": {"labels": {"a": "b"}}}, control.SandboxLabels),
    ("POST", routes.SANDBOX_PUBLIC, {"public": "true"}, control.Sandbox),
    ("POST", routes.SANDBOX_AUTO_STOP, {"minutes": "7"}, control.Sandbox),
    ("POST", routes.SANDBOX_AUTO_PAUSE, {"minutes": "0"}, control.Sandbox),
    ("POST", routes.SANDBOX_AUTO_ARCHIVE, {"minutes": "7"}, control.Sandbox),
    ("POST", routes.SANDBOX_AUTO_DELETE, {"minutes": "7"}, control.Sandbox),
    ("POST", routes.SANDBOX_LAST_ACTIVITY, {}, EMPTY),
    ("POST", routes.SANDBOX_PAUSE, {}, control.Sandbox),
    ("POST", routes.SANDBOX_STOP, {}, control.Sandbox),
    ("POST", routes.SANDBOX_START, {}, control.Sandbox),
    ("POST", routes.SANDBOXES, {"json": {"name": "shapes"}}, control.Sandbox),
    ("DELETE", routes.SANDBOX, {"sandbox_id": "shapes"}, control.Sandbox),
]
CHART = "import matplotlib.pyplot as p; p.plot([1]); p.show()"
TOOLBOX: list[tuple[str, str, Any, Any]] = [
    ("POST", routes.EXECUTE, {"json": {"command": "echo a"}}, toolbox_models.ExecuteResponse),
    (
        "POST",
        routes.CODE_RUN,
        {"json": {"code": CHART, "language": "python"}},
        toolbox_models.CodeRunResponse,
    ),
    ("POST", routes.SESSIONS, {"json": {"sessionId": "shapes"}}, EMPTY),
    (
        "POST",
        routes.SESSION_EXECUTE,
        {"json": {"command": "echo a; echo b >&2"}},
        toolbox_models.SessionExecuteResponse,
    ),
    (
        "POST",
        routes.SESSION_EXECUTE,
        {"json": {"command": "read a", "runAsync": True}},
        toolbox_models.SessionExecuteResponse,
    ),
    ("GET", routes.SESSIONS, {}, list[toolbox_models.Session]),
    ("GET", routes.SESSION, {}, toolbox_models.Session),
    ("GET", routes.COMMAND, {}, toolbox_models.Command),
    ("GET", routes.COMMAND_LOGS, {}, toolbox_models.SessionCommandLogsResponse),
    ("POST", routes.COMMAND_INPUT, {"json": {"data": "x"}}, EMPTY),
    ("DELETE", routes.SESSION, {}, EMPTY),
    ("GET", routes.ENTRYPOINT, {}, toolbox_models.Session),
    ("GET", routes.ENTRYPOINT_LOGS, {}, toolbox_models.SessionCommandLogsResponse),
    ("POST", routes.PTYS, {"json": {"id": "shapes"}}, toolbox_models.PtyCreateResponse),
    ("GET", routes.PTYS, {}, toolbox_models.PtyListResponse),
    ("GET", routes.PTY, {}, toolbox_models.PtySessionInfo),
    ("POST", routes.PTY_RESIZE, {"json": {"cols": 80, "rows": 20}}, toolbox_models.PtySessionInfo),
    ("DELETE", routes.PTY, {}, TEXT),
    ("POST", routes.INTERPRETER_CONTEXTS, {"json": {}}, toolbox_models.InterpreterContext),
    ("GET", routes.INTERPRETER_CONTEXTS, {}, toolbox_models.ListContextsResponse),
    ("DELETE", routes.INTERPRETER_CONTEXT, {}, TEXT),
    ("GET", routes.PORTS, {}, toolbox_models.PortList),
    ("GET", routes.PORT_IN_USE, {"port": "3999"}, toolbox_models.IsPortInUseResponse),
    ("POST", routes.FILES_FOLDER, {"params": {"path": "d", "mode": "755"}}, EMPTY),
    (
        "POST",
        routes.FILES_UPLOAD,
        {"params": {"path": "d/f"}, "files": {"file": ("f", b"one\n")}},
        toolbox_models.UploadedFile,
    ),
    (
        "POST",
        routes.FILES_UPLOAD_STREAM,
        {"params": {"path": "d/f"}, "files": {"file": ("f", b"one\n")}},
        toolbox_models.UploadedFile,
    ),
    (
        "POST",
        routes.FILES_BULK_UPLOAD,
        {"files": {"files[0].path": (None, "d/g"), "files[0].file": ("g", b"two\n")}},
        EMPTY,  # the SDK's newest model may hold results; toolboxes answered nothing
    ),
    ("GET", routes.FILES, {"params": {"path": "d"}}, list[toolbox_models.FileInfo]),
    ("GET", routes.FILES_INFO, {"params": {"path": "d/f"}}, toolbox_models.FileInfo),
    ("GET", routes.FILES_FIND, {"params": {"path": "d", "pattern": "one"}}, list[toolbox_models.Match]),
    (
        "GET",
        routes.FILES_SEARCH,
        {"params": {"path": "d", "pattern": "f"}},
        toolbox_models.SearchFilesResponse,
    ),
    (
        "POST",
        routes.FILES_REPLACE,
        {"json": {"files": ["d/f"], "pattern": "one", "newValue": "1"}},
        list[toolbox_models.ReplaceResult],
    ),
    ("POST", routes.FILES_PERMISSIONS, {"params": {"path": "d/f", "mode": "600"}}, EMPTY),
    ("POST", routes.FILES_MOVE, {"params": {"source": "d/f", "destination": "d/h"}}, EMPTY),
    ("DELETE", routes.FILES, {"params": {"path": "d", "recursive": "true"}}, EMPTY),
    ("GET", routes.WORK_DIR, {}, toolbox_models.WorkDirResponse),
    ("GET", routes.HOME_DIR, {}, toolbox_models.UserHomeDirResponse),
    ("GET", routes.VERSION, {}, TEXT),
    ("GET", routes.METRICS, {}, toolbox_models.SystemMetrics),
]
# Routes that answer with bytes or a websocket. Other tests cover them.
OTHER = {
    ("GET", routes.FILES_DOWNLOAD),
    ("POST", routes.FILES_BULK_DOWNLOAD),
    ("GET", routes.PTY_CONNECT),
    ("GET", routes.PTY_CREATE_AND_CONNECT),
    ("GET", routes.INTERPRETER_EXECUTE),
}


@pytest.fixture(scope="module")
def own(server: EmbeddedServer) -> Iterator[Toolbox]:
    with make_toolbox(server) as toolbox:
        yield toolbox


def check(answer: Any, shape: Any) -> None:
    """Fail if `answer` does not fit `shape`, or has an unknown field."""
    if shape is TEXT:
        assert all(isinstance(part, str) for pair in answer.items() for part in pair)
    elif typing.get_origin(shape) is list:
        assert answer
        for item in answer:
            check(item, typing.get_args(shape)[0])
    else:
        assert unknown_in(shape.from_dict(answer)) == []


def unknown_in(value: Any) -> list[str]:
    """Return the unknown fields in a model and in the models inside it."""
    if isinstance(value, list):
        return [name for part in value for name in unknown_in(part)]
    if not isinstance(value, BaseModel):
        return []
    inner = [unknown_in(getattr(value, name)) for name in type(value).model_fields]
    additional: dict[str, Any] = getattr(value, "additional_properties", {})
    return [*additional, *(name for names in inner for name in names)]


def run(toolbox: Toolbox, base: str, rows: list[tuple[str, str, Any, Any]], known: dict[str, str]) -> None:
    for method, route, given, shape in rows:
        fields = known | {name: value for name, value in given.items() if isinstance(value, str)}
        sent = {name: value for name, value in given.items() if not isinstance(value, str)}
        answer = toolbox.request(method, base + route.format_map(fields), **sent)
        assert answer.is_success, (method, route, answer.text)
        if shape is EMPTY:
            assert answer.content == b"", (method, route, answer.text)
            continue
        try:
            content = answer.json()
            check(content, shape)
        except (ValueError, AssertionError) as error:
            pytest.fail(f"{method} {route}: {error!r}\n{answer.text}")
        if route == routes.SESSION_EXECUTE:
            known["command_id"] = content["cmdId"]
        if (method, route) == ("POST", routes.INTERPRETER_CONTEXTS):
            known["context_id"] = content["id"]


def test_the_control_plane(server: EmbeddedServer, own: Toolbox) -> None:
    run(own, server.api_url, CONTROL, {"sandbox_id": own.sandbox["id"]})


def test_the_toolbox(own: Toolbox) -> None:
    own.post(f"{own.base_url}/process/session", json={"sessionId": "other"})
    run(own, "", TOOLBOX, {"session_id": "shapes", "pty_id": "shapes"})


def test_every_route_is_in_a_table() -> None:
    served = {
        (method, route)
        for route, handler, _ in [*CONTROL_ROUTES, *TOOLBOX_ROUTES]
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH")
        if overrides(handler, method.lower()) and not route.startswith(routes.PORT_PROXY)
    }
    checked = {(method, route) for method, route, _, _ in [*CONTROL, *TOOLBOX]}
    assert served == checked | OTHER


def overrides(handler: type[tornado.web.RequestHandler], method: str) -> bool:
    own = getattr(handler, method)
    return own not in [
        getattr(base, method, None)
        for base in (tornado.web.RequestHandler, tornado.websocket.WebSocketHandler)
    ]
