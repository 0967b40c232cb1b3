"""Requests for files of a sandbox that ends before its file worker answers.

asyncio goes on watching the number of a descriptor that is closed while a task waits for it, and never
watches the next descriptor with this number. So the next processes and sandboxes show such a fault.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from .conftest import EmbeddedServer, make_toolbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Toolbox

# The worker is a fork of the supervisor, which is the first process of the sandbox.
WORKERS = "pgrep -P 1 -f supervisor.py"
UNREAD_SECONDS = 0.5
DATA = bytes(1 << 20)


@pytest.fixture
def toolbox(server: EmbeddedServer) -> Iterator[Toolbox]:
    """The toolbox of a new sandbox, whose file worker has stopped."""
    with make_toolbox(server) as toolbox:
        assert toolbox.get("/files", params={"path": "/"}).status_code == 200
        assert toolbox.execute(f"kill -STOP $({WORKERS})")["exitCode"] == 0
        yield toolbox


def send(toolbox: Toolbox, request: str, *headers: str) -> socket.socket:
    """Send the head of a request. Its client reads the answer from the connection."""
    url = urlsplit(str(toolbox.base_url))
    connection = socket.create_connection((url.hostname, url.port), 30)
    method, path = request.split()
    lines = [
        f"{method} {url.path}{path} HTTP/1.1",
        f"Host: {url.netloc}",
        f"Authorization: {toolbox.headers['Authorization']}",
        *headers,
    ]
    connection.sendall("\r\n".join([*lines, "\r\n"]).encode())
    return connection


def start_upload(toolbox: Toolbox) -> socket.socket:
    """Send a part of a file, until the server reads no more of it."""
    connection = send(
        toolbox,
        "POST files/upload?path=/tmp/sent",
        f"Content-Length: {1 << 30}",
        "Content-Type: multipart/form-data; boundary=b",
    )
    connection.sendall(b'--b\r\nContent-Disposition: form-data; name="file"; filename="sent"\r\n\r\n')
    connection.setblocking(False)
    while select.select([], [connection], [], UNREAD_SECONDS)[1]:
        connection.send(DATA)
    return connection


def start_list(toolbox: Toolbox) -> socket.socket:
    """Ask for a directory, and wait until the server has asked the worker for it."""
    connection = send(toolbox, "GET files?path=/")
    assert toolbox.execute("true")["exitCode"] == 0  # a later request has been answered
    return connection


@pytest.mark.parametrize("ending", ["delete", "stop"])
@pytest.mark.parametrize("start", [start_list, start_upload])
def test_a_request_ends_with_its_sandbox(
    server: EmbeddedServer, toolbox: Toolbox, start: Callable[[Toolbox], socket.socket], ending: str
) -> None:
    path = f"/sandbox/{toolbox.sandbox['id']}"
    method, path = ("DELETE", path) if ending == "delete" else ("POST", f"{path}/stop")
    with start(toolbox) as asking, server.client() as client, make_toolbox(server) as other:
        client.request(method, path).raise_for_status()
        for _ in range(3):
            assert other.execute("echo here")["result"] == "here\n"
        for _ in range(2):
            with make_toolbox(server) as another:
                assert another.execute("echo there")["result"] == "there\n"
        asking.settimeout(30)
        assert asking.recv(4096).startswith(b"HTTP/1.1 500 ")
