"""Clients without the key, and pages: they learn nothing and do not crowd out the owner."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from daytona_kernel.server import limits
from daytona_kernel.server.app import API, CONTROL_ROUTES, TOOLBOX, TOOLBOX_ROUTES
from daytona_kernel.server.handlers.ports import ProxyHandler
from tests.attacks.routes import requests_of
from tests.server.conftest import eventually, make_toolbox, start_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer, Toolbox

MIB = 1 << 20
METHODS = ("GET", "POST", "PUT", "DELETE")


@pytest.fixture
def victim() -> Iterator[EmbeddedServer]:
    """A separate server, because these tests use up its connections."""
    server = start_embedded({"DAYTONA_KERNEL_ISOLATION": "none"})
    server.lease = server.take_lease()
    yield server
    server.end()


def connect(server: EmbeddedServer) -> socket.socket:
    parts = urlsplit(server.api_url)
    assert parts.hostname
    return socket.create_connection((parts.hostname, parts.port or 0), timeout=20)


def resident(server: EmbeddedServer) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) << 10


def head(method: str, path: str, length: int, more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{more}\r\n".encode()


@pytest.mark.parametrize("route", requests_of(CONTROL_ROUTES + TOOLBOX_ROUTES), ids=str)
def test_a_stranger_is_answered_from_the_head(
    server: EmbeddedServer, toolbox: Toolbox, route: object
) -> None:
    method, path = str(route).split(" ", 1)
    with connect(server) as stranger:
        # The body never comes.
        stranger.sendall(head(method, path.replace("{sandbox_id}", toolbox.sandbox["id"]), 50 * MIB))
        assert stranger.recv(100).startswith(b"HTTP/1.1 401 "), route


def test_the_bodies_of_strangers_are_not_kept(victim: EmbeddedServer) -> None:
    before = resident(victim)
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stranger = stack.enter_context(connect(victim))
            stranger.sendall(head("POST", "/api/sandbox", 55 * MIB))
            with contextlib.suppress(OSError):
                for _ in range(50):
                    stranger.sendall(bytes(MIB))
        with victim.client() as owner:
            assert owner.get("/sandbox").status_code == 200
        assert resident(victim) - before < 50 * MIB


def test_the_owner_is_served_while_strangers_hold_all_the_connections_that_they_get(
    victim: EmbeddedServer,
) -> None:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connect(victim)) for _ in range(limits.STRANGERS + 200)]
        for number, stranger in enumerate(idle):
            with contextlib.suppress(OSError):
                stranger.sendall([b"", b"GET / HT", b"POST /api/sandbox HTTP/1.1\r\nA: b\r\n"][number % 3])
        begin = time.monotonic()
        with victim.client() as owner:
            for _ in range(20):
                assert owner.get("/sandbox", headers={"Connection": "close"}).status_code == 200
        assert time.monotonic() - begin < 15
        # The server does not wait for a stranger that sends nothing.
        idle[-1].settimeout(limits.STRANGER_SECONDS + 20)
        assert idle[-1].recv(1) == b""


def test_a_stranger_does_not_learn_which_sandboxes_there_are(
    server: EmbeddedServer, toolbox: Toolbox
) -> None:
    origin = server.api_url.removesuffix(API)
    answers = set()
    for sandbox in (toolbox.sandbox["id"], "no-such-sandbox"):
        for path in (
            f"{API}/sandbox/{sandbox}",
            f"/toolbox/{sandbox}/proxy/3000/",
            f"/toolbox/{sandbox}/files",
        ):
            answer = httpx.get(origin + path, headers={"x-daytona-preview-token": "guess"}, trust_env=False)
            answers.add(answer.status_code)
    assert answers == {401}


@pytest.mark.parametrize(
    "header", ["Origin: http://evil.test", "Origin: null", "Sec-Fetch-Site: same-origin"]
)
def test_no_route_of_the_api_answers_a_page(server: EmbeddedServer, toolbox: Toolbox, header: str) -> None:
    key = f"Authorization: Bearer {server.api_key}\r\n{header}\r\n"
    for route in requests_of([row for row in TOOLBOX_ROUTES if row[1] is not ProxyHandler]):
        method, path = str(route).split(" ", 1)
        path = path.replace("{sandbox_id}", toolbox.sandbox["id"])
        with connect(server) as page:
            page.sendall(head(method, path, 0, key))
            assert page.recv(100).startswith(b"HTTP/1.1 403 "), route


def test_a_page_of_a_web_application_in_the_sandbox_works(server: EmbeddedServer) -> None:
    with make_toolbox(server) as toolbox:
        toolbox.post("/process/session", json={"sessionId": "web"})
        serve = "cd /tmp && echo hello > page && exec python3 -m http.server 3210"
        toolbox.run("web", serve, runAsync=True)
        page = {"Origin": "http://localhost:3210", "Sec-Fetch-Site": "same-origin"}

        def fetch() -> bool:
            answer = toolbox.get("/proxy/3210/page", headers=page)
            return answer.status_code == 200 and answer.text == "hello\n"

        eventually(fetch, "the page is there")


def test_a_body_that_the_owner_leaves_half_done_does_not_keep_a_sandbox_active(
    server: EmbeddedServer,
) -> None:
    with make_toolbox(server) as toolbox:
        path = f"{TOOLBOX}/process/execute".format(sandbox_id=toolbox.sandbox["id"])
        with connect(server) as owner:
            owner.sendall(
                head("POST", path, 100, f"Authorization: Bearer {server.api_key}\r\n") + b'{"command"'
            )
        assert toolbox.execute("echo alive")["result"] == "alive\n"
        assert json.loads(toolbox.get("/process/session").text) == []
