"""Requests with the key that are made to break the server. Each is refused, and the sandboxes survive."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from daytona_kernel.server.app import API, CONTROL_ROUTES, TOOLBOX_ROUTES
from daytona_kernel.server.handlers.ports import ProxyHandler
from tests.attacks.routes import RouteRequest, requests_of
from tests.server.conftest import make_toolbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.server.conftest import EmbeddedServer, Toolbox

NAMES = [
    *("command", "code", "cwd", "envs", "timeout", "language", "argv", "sessionId", "runAsync", "async"),
    *(
        "suppressInputEcho",
        "data",
        "files",
        "pattern",
        "newValue",
        "paths",
        "id",
        "rows",
        "cols",
        "lazyStart",
    ),
    *("name", "env", "labels", "public", "target", "snapshot", "cpu", "memory", "disk"),
    *("autoStopInterval", "autoPauseInterval", "autoArchiveInterval", "autoDeleteInterval"),
]
# Values of wrong types, and values that Python or C fail on, as JSON.
VALUES = [
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    str(10**30),
    "9" * 5000,
    "-1",
    "1.5",
    "true",
    '"\\ud800"',
    '"\\udcff x"',
    '"nul \\u0000 byte"',
    "[]",
    "[1]",
    '["\\ud800"]',
    "{}",
    '{"a": 1}',
    '{"a": {"b": []}}',
    '{"\\udfff": "a"}',
]
OF_NO_TYPE = '{"a": {"b": []}}'
SURROGATES = [value for value in VALUES if "\\ud" in value]
# Bodies that are not JSON objects.
BODIES = {
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "deep and closed": b'{"command": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "deep strings": b'{"labels": ' + b'{"a":' * 5_000 + b'"\\ud800"' + b"}" * 5_001,
    "not UTF-8": b'{"command": "\xff\xfe"}',
    "UTF-8 of a surrogate": b'{"command": "\xed\xa0\x80"}',
    "UTF-16": '{"command": "true"}'.encode("utf-16"),
    "list": b"[1]",
    "number": b"1",
    "null": b"null",
    "no JSON": b"{",
    "nothing but NUL": b"\0" * 100,
    "trailing": b'{"command": "true"} {}',
}
QUERIES = [
    "{name}=%ED%A0%80",
    "{name}=%ff",
    "{name}=%00",
    "{name}=",
    "{name}=-1",
    "{name}=%C2%B2",
    "{name}=" + "9" * 2500,
    "{name}=1e400",
    "{name}={{",
    "{name}=" + "[" * 400,
    "{name}={{%22a%22:1}}",
    "{name}=%22%5Cud800%22",
]
QUERY_NAMES = [
    *("path", "source", "destination", "mode", "owner", "group", "recursive", "depth", "pattern", "labels"),
    *("limit", "cursor", "states", "id", "name", "rows", "cols", "cwd", "follow"),
]


def ends_the_sandbox(request: RouteRequest) -> bool:
    return (
        str(request).endswith("{sandbox_id}/stop") or str(request) == f"DELETE {API}/sandbox/{{sandbox_id}}"
    )


REQUESTS = [
    request
    for request in requests_of(CONTROL_ROUTES + TOOLBOX_ROUTES)
    if request.handler is not ProxyHandler and not ends_the_sandbox(request)
]


@pytest.fixture(scope="module")
def hostile(server: EmbeddedServer) -> Iterator[Toolbox]:
    with make_toolbox(server) as toolbox:
        toolbox.post("/process/session", json={"sessionId": "s"})
        toolbox.timeout = 20
        yield toolbox


def send(toolbox: Toolbox, request: RouteRequest, body: bytes | None, query: str = "") -> httpx.Response:
    origin = str(toolbox.base_url).partition("/toolbox/")[0]
    url = origin + request.path.replace("{sandbox_id}", toolbox.sandbox["id"])
    answer = toolbox.request(request.method, url + (f"?{query}" if query else ""), content=body)
    if str(request) == f"POST {API}/sandbox" and answer.is_success:
        toolbox.delete(f"{url}/{answer.json()['id']}")
    if request.path.endswith("/pause") and answer.is_success:
        toolbox.post(f"{url.removesuffix('/pause')}/start")
    return answer


def is_alive(toolbox: Toolbox) -> bool:
    toolbox.post("/process/session", json={"sessionId": "s"})
    executed = toolbox.execute("echo alive")["result"]
    return bool(executed == "alive\n" and toolbox.run("s", "echo alive")["stdout"] == "alive\n")


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_hostile_bodies_and_queries_are_refused_on_every_route(
    hostile: Toolbox, request_: RouteRequest
) -> None:
    harmless = send(hostile, request_, b"{}").status_code
    for what, body in BODIES.items():
        answer = send(hostile, request_, body)
        # A route that reads no body accepts any.
        assert answer.status_code in (400, 404, 409, harmless), (what, answer.text[:200])
    for value in VALUES:
        body = ("{" + ", ".join(f'"{name}": {value}' for name in NAMES) + "}").encode()
        answer = send(hostile, request_, body)
        assert answer.status_code < 500 or answer.status_code == harmless, (value[:50], answer.text[:200])
    for number, query in enumerate(QUERIES):
        separate = [query.format(name=name) for name in QUERY_NAMES]
        status = send(hostile, request_, b"{}", "&".join(separate)).status_code
        assert status < 500 or status == harmless, query[:80]
        # The first wrong parameter hides the others. A route that accepts all together reads none of them.
        if number < len(QUERIES) - 6 or status == harmless < 300:
            continue
        for each in separate:
            answer = send(hostile, request_, b"{}", each)
            assert answer.status_code < 500 or answer.status_code == harmless, (each[:80], answer.text[:200])
    assert is_alive(hostile)


@pytest.mark.parametrize("name", NAMES)
def test_each_field_alone_is_checked(server: EmbeddedServer, hostile: Toolbox, name: str) -> None:
    """A wrong field gets further if all other fields are right."""
    good: dict[str, dict[str, Any]] = {
        "/process/execute": {"command": "true"},
        "/process/code-run": {"code": "1", "language": "python"},
        "/process/session/s/exec": {"command": "true"},
        "/process/pty": {},
        "/process/interpreter/context": {},
        "/files/replace": {"files": ["a"], "pattern": "a"},
        "/files/bulk-download": {"paths": ["a"]},
    }
    for path, body in good.items():
        fields = {key: json.dumps(content) for key, content in body.items()}

        def status_with(value: str, path: str = path, fields: dict[str, str] = fields) -> int:
            text = "{" + ", ".join(f'"{key}": {each}' for key, each in {**fields, name: value}.items()) + "}"
            answer = hostile.post(path, content=text.encode())
            assert answer.status_code < 500, (path, value[:50], answer.text[:200])
            return answer.status_code

        # A route that accepts a value of no field's type does not read this field.
        is_read = status_with(OF_NO_TYPE) >= 400
        for value in VALUES if is_read else SURROGATES:
            status = status_with(value)
            assert value not in SURROGATES or status == 400, (path, value)
    for terminal in hostile.get("/process/pty").json()["sessions"]:
        hostile.delete(f"/process/pty/{quote(terminal['id'], safe='')}")
    assert is_alive(hostile)


MESSAGES: list[bytes] = [
    *BODIES.values(),
    *(
        f'{{"code": "1", "{name}": {value}}}'.encode()
        for name in ("code", "contextId", "envs", "timeout")
        for value in VALUES
    ),
]


def run_in_context(toolbox: Toolbox, message: str | bytes) -> int | None:
    """Send a message to an interpreter context. Return the code with which the server closes then."""
    url = toolbox.websocket_url("/process/interpreter/execute")
    headers = {"Authorization": toolbox.headers["Authorization"]}
    with connect(url, additional_headers=headers, proxy=None, max_size=None) as websocket:
        websocket.send(message)
        for _ in range(1000):
            try:
                websocket.recv(20)
            except ConnectionClosed:
                break
        return websocket.close_code


def test_a_hostile_message_closes_only_its_websocket(hostile: Toolbox) -> None:
    for message in MESSAGES:
        for sent in (message, message.decode("utf-8", "replace")):
            assert run_in_context(hostile, sent) in (1000, 1008, 4008), message[:100]
    assert is_alive(hostile)


@pytest.mark.parametrize("envs", [b"[" * 20_000, b'"\\ud800"', b"[1]", b'{"A": 1}', b"\xff", b"1e400"])
def test_a_hostile_environment_of_a_terminal_is_refused(hostile: Toolbox, envs: bytes) -> None:
    offered = "X-Daytona-Pty-Envs~" + base64.urlsafe_b64encode(envs).decode().rstrip("=")
    with pytest.raises(InvalidStatus) as caught:
        connect(
            hostile.websocket_url("/process/pty/create-connect?id=x"),
            additional_headers={**hostile.headers, "Sec-WebSocket-Protocol": offered},
            proxy=None,
        )
    assert caught.value.response.status_code == 400


@pytest.mark.parametrize(
    "header", ["X-Daytona-SDK-Version", "Range", "Content-Type", "X-Daytona-Split-Output"]
)
def test_hostile_headers_are_refused_or_ignored(hostile: Toolbox, header: str) -> None:
    command = hostile.run("s", "echo hello")["cmdId"]
    digits = "9" * 5000
    values = [digits, f"v{digits}.1.1", f"bytes={digits}-", "bytes=-1", "\xb2.\xb2", "multipart/x; boundary="]
    for value in values:
        headers = {header.encode(): value.encode("latin-1")}
        for path in (f"/process/session/s/command/{command}/logs", "/files/download?path=none"):
            assert hostile.get(path, headers=headers).status_code < 500, (value[:20], path)
        sent = hostile.post("/files/upload?path=x", content=b"--\r\n\r\n", headers=headers)
        assert sent.status_code == 400
    assert is_alive(hostile)


# The process of an interpreter context is the sandbox's: it can send any answer on its channel.
_LIE = """
import os, socket
for fd in range(3, 8):
    try:
        channel = socket.socket(fileno=os.dup(fd))
        channel.sendall({answer!r} + b"\\n")
        os.read(fd, 1)
    except OSError:
        pass
"""


@pytest.mark.parametrize(
    "answer",
    [b"[" * 100_000, b"no", b"[]", b"{}", b'{"error": 1}', b'{"error": {"name": []}}', b"\xff", b"null"],
)
def test_only_an_interpreter_context_that_lies_ends(hostile: Toolbox, answer: bytes) -> None:
    code = _LIE.format(answer=answer)
    assert run_in_context(hostile, json.dumps({"code": code, "timeout": 5})) in (1000, 4008)
    assert is_alive(hostile)
