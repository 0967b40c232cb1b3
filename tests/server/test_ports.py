"""The port proxy carries HTTP and websockets to a server in the sandbox."""

from __future__ import annotations

import hashlib
import os
import socket
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from websockets.sync.client import connect

from tests.server.conftest import eventually, make_toolbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer, Toolbox

SERVER = """
import hashlib, tornado.ioloop, tornado.web, tornado.websocket, sys

class Hello(tornado.web.RequestHandler):
    def get(self):
        self.write(f"{self.request.uri} {self.request.headers.get('X-Mine')} "
                   f"{self.request.headers.get('Authorization')} {self.request.host}")
    def post(self):
        self.set_status(201)
        self.write(hashlib.sha256(self.request.body).hexdigest())

class Echo(tornado.websocket.WebSocketHandler):
    async def on_message(self, message):
        await self.write_message(message, binary=isinstance(message, bytes))

class Stream(tornado.web.RequestHandler):
    async def get(self):
        for number in range(200):
            self.write(bytes([number]) * 100_000)
            await self.flush()

app = tornado.web.Application([("/echo", Echo), ("/stream", Stream), ("/.*", Hello)])
app.listen(int(sys.argv[1]), "127.0.0.1", max_buffer_size=1 << 28)
print("ready", flush=True)
tornado.ioloop.IOLoop.current().start()
"""


def free_port(used: int | None = None) -> int:
    """Return a port that is free on this machine, and not the one that a sandbox has `used`."""
    for port in range(3000 + os.getpid() % 6000, 10000):
        with socket.socket() as probe:
            if port != used and probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no free port")


@pytest.fixture(scope="module")
def port(toolbox: Toolbox) -> Iterator[int]:
    port = free_port()
    toolbox.post("/process/session", json={"sessionId": "server"})
    toolbox.post("/files/upload", params={"path": "server.py"}, files={"file": ("x", SERVER.encode())})
    toolbox.run("server", f"python server.py {port}", runAsync=True)
    eventually(lambda: toolbox.get(f"/port/{port}/in-use").json()["isInUse"], "the server listens")
    yield port
    toolbox.delete("/process/session/server")


def test_a_request_arrives_without_the_key(toolbox: Toolbox, port: int) -> None:
    answer = toolbox.get(f"/proxy/{port}/a/b%20c?d=e", headers={"X-Mine": "1"})
    assert answer.text == f"/a/b%20c?d=e 1 None 127.0.0.1:{port}"
    assert toolbox.get(f"/proxy/{port}").text.startswith("/ ")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_arrives_whole(toolbox: Toolbox, port: int, chunked: bool) -> None:
    body = os.urandom(5_000_000)
    content = (body[at : at + 70_000] for at in range(0, len(body), 70_000)) if chunked else body
    answer = toolbox.post(f"/proxy/{port}/x", content=content)
    assert (answer.status_code, answer.text) == (201, hashlib.sha256(body).hexdigest())


def test_a_stream_arrives_whole(toolbox: Toolbox, port: int) -> None:
    with toolbox.stream("GET", f"/proxy/{port}/stream") as answer:
        body = b"".join(answer.iter_raw())
    assert body.count(bytes([199])) >= 100_000
    assert len(body) >= 200 * 100_000


def test_a_websocket_is_tunnelled(toolbox: Toolbox, port: int) -> None:
    headers = {"Authorization": toolbox.headers["Authorization"]}
    url = toolbox.websocket_url(f"/proxy/{port}/echo")
    with connect(url, additional_headers=headers, proxy=None, max_size=None) as websocket:
        for message in ("text", b"bytes", os.urandom(3_000_000)):
            websocket.send(message)
            assert websocket.recv(timeout=20) == message


def test_the_preview_token_opens_the_proxy_and_nothing_else(
    server: EmbeddedServer, api: httpx.Client, toolbox: Toolbox, port: int
) -> None:
    preview = api.get(f"/sandbox/{toolbox.sandbox['id']}/ports/{port}/preview-url").json()
    url = httpx.URL(preview["url"])
    assert url.port == port
    assert url.host.startswith("127.")
    assert (url.host != "127.0.0.1") == (server.isolation != "none")  # the cookies of Jupyter's pages
    assert httpx.get(preview["url"], trust_env=False).status_code == 200
    headers = {"x-daytona-preview-token": preview["token"]}
    base = str(toolbox.base_url)
    assert httpx.get(f"{base}proxy/{port}/", headers=headers, trust_env=False).status_code == 200
    assert httpx.get(f"{base}process/session", headers=headers, trust_env=False).status_code == 401
    wrong = {"x-daytona-preview-token": "wrong"}
    assert httpx.get(f"{base}proxy/{port}/", headers=wrong, trust_env=False).status_code == 401


def test_a_port_without_a_listener(toolbox: Toolbox, port: int) -> None:
    answer = toolbox.get(f"/proxy/{free_port(port)}/")
    assert answer.status_code == 502
    assert "nothing listens on port" in answer.json()["message"]
    assert answer.headers["Connection"] == "close"
    assert toolbox.get("/proxy/99999/").status_code == 400


def test_the_list_of_listening_ports(toolbox: Toolbox, port: int) -> None:
    assert port in toolbox.get("/port").json()["ports"]
    assert toolbox.get(f"/port/{free_port(port)}/in-use").json() == {"isInUse": False}
    assert toolbox.get("/port/80/in-use").status_code == 400


def test_tunnels_are_closed_with_their_clients(server: EmbeddedServer, toolbox: Toolbox, port: int) -> None:
    headers = {"Authorization": toolbox.headers["Authorization"]}
    url = toolbox.websocket_url(f"/proxy/{port}/echo")
    process = psutil.Process(server.process.pid)

    def use_a_tunnel() -> None:
        with connect(url, additional_headers=headers, proxy=None) as websocket:
            websocket.send("x")
            websocket.recv()

    use_a_tunnel()  # the first one may open what the server keeps
    before = process.num_fds()
    for _ in range(40):
        use_a_tunnel()
    # The server may have made a box for the next sandbox meanwhile.
    eventually(lambda: process.num_fds() < before + 20, "no descriptor is left")


def test_two_sandboxes_use_the_same_port(server: EmbeddedServer, api: httpx.Client) -> None:
    if server.isolation != "bubblewrap":
        pytest.skip("without isolation, all sandboxes share the ports of this machine")
    with make_toolbox(server) as first, make_toolbox(server) as second:
        for name, toolbox in (("first", first), ("second", second)):
            toolbox.execute(f"echo {name} > index.html")
            toolbox.post("/process/session", json={"sessionId": "server"})
            toolbox.run("server", "exec python -m http.server 8130 --bind 127.0.0.1", runAsync=True)
        for name, toolbox in (("first", first), ("second", second)):
            eventually(lambda: toolbox.get("/port/8130/in-use").json()["isInUse"], "the server listens")  # noqa: B023
            url = api.get(f"/sandbox/{toolbox.sandbox['id']}/ports/8130/preview-url").json()["url"]
            assert url.endswith(":8130")
            assert httpx.get(url, trust_env=False).text == f"{name}\n"
            assert toolbox.get("/proxy/8130/").text == f"{name}\n"
        api.delete(f"/sandbox/{second.sandbox['id']}")
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, trust_env=False)


def test_the_preview_of_a_port_without_a_listener_says_so(
    server: EmbeddedServer, api: httpx.Client, toolbox: Toolbox
) -> None:
    if server.isolation != "bubblewrap":
        pytest.skip("without isolation, a preview is a port of this machine")
    url = api.get(f"/sandbox/{toolbox.sandbox['id']}/ports/9123/preview-url").json()["url"]
    answer = httpx.get(url, trust_env=False)
    assert (answer.status_code, answer.text) == (502, "Nothing listens on port 9123 of the sandbox.\n")


def test_a_server_on_the_ipv6_loopback_is_reached(toolbox: Toolbox) -> None:
    if toolbox.execute("test -e /proc/net/if_inet6")["exitCode"] != 0:
        pytest.skip("this machine has no IPv6")
    toolbox.post("/process/session", json={"sessionId": "six"})
    toolbox.run("six", "exec python -m http.server 9126 --bind ::1", runAsync=True)
    eventually(lambda: toolbox.get("/port/9126/in-use").json()["isInUse"], "the server listens")
    assert toolbox.get("/proxy/9126/").status_code == 200
    toolbox.delete("/process/session/six")
