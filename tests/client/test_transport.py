"""Proxies, certificate authorities and secrets, over real connections."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve

from daytona_kernel import (
    DaytonaAuthenticationError,
    DaytonaBadRequestError,
    DaytonaConfig,
    DaytonaConnectionError,
    DaytonaError,
    DaytonaNotFoundError,
)
from daytona_kernel.client import transport_options
from daytona_kernel.client.transport import AsyncTransport, Transport

from .conftest import KEY
from .faulty_server import Exchange, FaultyServer, hang_up, reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SANDBOX = {"id": "i", "name": "n", "state": "started", "labels": {}, "env": {}}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[FaultyServer]:
    """A server with a certificate that no system trusts, and a second name that does not resolve."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "daytona.test").configure_cert(context)
    made = FaultyServer(context)
    yield made
    made.close()


@pytest.fixture
def authority_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


class Proxy:
    """A CONNECT proxy that resolves every host to loopback."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._tunnel, args=(connection,), daemon=True).start()

    def _tunnel(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.targets.append(f"{method} {target}")
        with connection, socket.create_connection(("127.0.0.1", int(target.rsplit(":", 1)[1]))) as upstream:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=(upstream, connection), daemon=True)
            back.start()
            _copy(connection, upstream)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


def serve_sandbox(server: FaultyServer, url: str) -> None:
    """Serve a control plane with one sandbox, whose toolbox sends one frame."""

    def hello(exchange: Exchange) -> None:
        exchange.accept_websocket()
        exchange.frame(b"hello")
        exchange.close_frame()

    server.on("GET", "/api/sandbox/i", reply(200, {**SANDBOX, "toolboxProxyUrl": f"{url}/toolbox"}))
    server.on("POST", "/toolbox/i/process/execute", reply(200, {"exitCode": 0, "result": "ok"}))
    server.on("GET", "/toolbox/i/proxy/3000/.*", hello)


def use(connect: Any, url: str, **config: Any) -> None:
    """Send requests and open a websocket."""
    sandbox = connect(DaytonaConfig(api_key=KEY, api_url=f"{url}/api", **config)).get("i")
    assert sandbox.process.exec("true").result == "ok"
    opened = sandbox.open_websocket(f"{url}/toolbox/i/proxy/3000/x")
    if hasattr(sandbox, "_portal"):
        assert sandbox._portal.call(opened.recv) == b"hello"
        sandbox._portal.call(opened.close)
    else:
        assert opened.recv() == b"hello"
        opened.close()


def test_unknown_authority_is_refused_and_explained(connect: Any, secure: FaultyServer) -> None:
    with pytest.raises(DaytonaConnectionError, match=r"does not trust the certificate of.*SSL_CERT_FILE"):
        use(connect, secure.url)
    assert secure.requests == []


def test_ssl_cert_file_names_an_authority(
    connect: Any, secure: FaultyServer, authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_sandbox(secure, secure.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    use(connect, secure.url)


def test_verify_takes_a_context(connect: Any, secure: FaultyServer, authority: trustme.CA) -> None:
    serve_sandbox(secure, secure.url)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    use(connect, secure.url, verify=context)


def test_verify_can_be_turned_off(connect: Any, secure: FaultyServer) -> None:
    serve_sandbox(secure, secure.url)
    use(connect, secure.url, verify=False)


def test_https_proxy_is_used_for_requests_and_websockets(
    connect: Any,
    secure: FaultyServer,
    proxy: Proxy,
    authority_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"https://daytona.test:{secure.port}"
    serve_sandbox(secure, url)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    use(connect, url)
    assert set(proxy.targets) == {f"CONNECT daytona.test:{secure.port}"}
    assert len(proxy.targets) >= 2


def test_tickets_of_the_server_do_not_disturb_the_first_request(
    secure: FaultyServer, authority: trustme.CA
) -> None:
    serve_sandbox(secure, secure.url)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    transport = Transport(verify=context)
    for _ in range(40):
        with transport.open_websocket(f"{secure.url}/toolbox/i/proxy/3000/x") as opened:
            assert opened.recv(20) == b"hello"


def silent_at_tcp(connection: socket.socket, context: ssl.SSLContext) -> None:
    connection.recv(1)


def drips_its_tls_handshake(connection: socket.socket, context: ssl.SSLContext) -> None:
    connection.recv(65536)
    for byte in b"\x16\x03\x03\x10\x00" + bytes(1000):
        connection.sendall(bytes([byte]))
        connection.settimeout(0.1)
        with suppress(TimeoutError):
            connection.recv(1)


def silent_after_tls(connection: socket.socket, context: ssl.SSLContext) -> None:
    with context.wrap_socket(connection, server_side=True) as secured:
        while secured.recv(65536):
            pass


def open_websocket(kind: str, url: str, context: ssl.SSLContext) -> None:
    if kind == "sync":
        Transport(verify=context).open_websocket(url)
    else:
        asyncio.run(AsyncTransport(verify=context).open_websocket(url))


@pytest.mark.parametrize("behavior", [silent_at_tcp, drips_its_tls_handshake, silent_after_tls])
def test_a_server_that_does_not_finish_a_handshake_is_given_up(
    kind: str,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    behavior: Callable[[socket.socket, ssl.SSLContext], None],
) -> None:
    monkeypatch.setattr(transport_options, "CONNECT_SECONDS", 1.0)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_context)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with socket.create_server(("localhost", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                behavior(connection, server_context)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        url = f"https://localhost:{listener.getsockname()[1]}"
        before = time.monotonic()
        with pytest.raises(DaytonaConnectionError):
            open_websocket(kind, url, context)
        assert time.monotonic() - before < 15
        serving.join(15)
        assert not serving.is_alive()


def test_messages_cross_on_a_secure_websocket(authority: trustme.CA) -> None:
    """The server echoes at once, so this thread reads while the other one writes."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_context)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    messages = [bytes([size % 251]) * size for size in (0, 1, 125, 16_384, 16_385, 65_536, 1_000_000)] * 10

    async def echo(server_side: ServerConnection) -> None:
        async for message in server_side:
            await server_side.send(message)

    async def run() -> None:
        async with serve(echo, "localhost", 0, ssl=server_context, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            await asyncio.to_thread(exchange, f"wss://localhost:{port}")

    def exchange(url: str) -> None:
        with Transport(verify=context).open_websocket(url) as opened:

            def send() -> None:
                for message in messages:
                    opened.send(message)

            sender = threading.Thread(target=send)
            sender.start()
            assert [opened.recv(30) for _ in messages] == messages
            sender.join()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://daytona.test/api", "http://proxy.test:3128"),
        ("http://daytona.test/api", "socks5://fallback.test"),
        ("https://direct.test/api", None),
        ("https://sub.direct.test:8443/api", None),
        ("https://127.0.0.1/api", None),
    ],
)
def test_environment_names_the_proxy(url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    from daytona_kernel.client.transport_options import proxy_for

    monkeypatch.setenv("HTTPS_PROXY", "proxy.test:3128")
    monkeypatch.setenv("ALL_PROXY", "socks5://fallback.test")
    monkeypatch.setenv("NO_PROXY", "direct.test")
    assert proxy_for(httpx.URL(url)) == proxy


def test_loopback_is_never_proxied(
    connect: Any, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_sandbox(faulty, faulty.url)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    use(connect, faulty.url)


def test_key_goes_to_the_api_and_the_toolbox_only(connect: Any, faulty: FaultyServer) -> None:
    serve_sandbox(faulty, faulty.url)
    faulty.on("GET", "/elsewhere", reply(404))
    sandbox = connect(DaytonaConfig(api_key=KEY, api_url=f"{faulty.url}/api")).get("i")
    sandbox.process.exec("true")
    for url in (f"{faulty.url}/elsewhere", f"{faulty.url}/toolbox/i"):
        with pytest.raises(DaytonaNotFoundError):
            sandbox.open_websocket(url)
    sent = {got.path: got.headers.get("authorization") for got in faulty.requests}
    assert sent == {
        "/api/sandbox/i": f"Bearer {KEY}",
        "/toolbox/i/process/execute": f"Bearer {KEY}",
        "/elsewhere": None,
        "/toolbox/i": None,
    }


def test_redirects_are_not_followed(connect: Any, faulty: FaultyServer) -> None:
    faulty.on("GET", "/api/sandbox/i", reply(302, location="http://127.0.0.1:1/steal"))
    with pytest.raises(DaytonaError) as caught:
        connect(DaytonaConfig(api_key=KEY, api_url=f"{faulty.url}/api")).get("i")
    assert caught.value.status_code == 302


@pytest.mark.parametrize("failure", [hang_up, reply(401, {"message": "Unauthorized"}), reply(500)])
def test_key_is_in_no_error_log_or_repr(
    connect: Any, faulty: FaultyServer, failure: Any, caplog: pytest.LogCaptureFixture, no_pauses: list[float]
) -> None:
    caplog.set_level(logging.DEBUG)
    serve_sandbox(faulty, faulty.url)
    daytona = connect(DaytonaConfig(api_key=KEY, api_url=f"{faulty.url}/api"))
    sandbox = daytona.get("i")
    faulty.on("GET", ".*", failure)
    texts = [
        repr(daytona),
        repr(sandbox),
        repr(sandbox.process.toolbox_api),
        repr(DaytonaConfig(api_key=KEY)),
    ]
    actions: list[Callable[[], object]] = [
        lambda: daytona.get("i"),
        lambda: sandbox.open_websocket(f"{faulty.url}/toolbox/i/x"),
    ]
    for action in actions:
        with pytest.raises(DaytonaError) as caught:
            action()
        error: BaseException | None = caught.value
        while error is not None:
            texts += [str(error), repr(error)]
            error = error.__cause__ or error.__context__
    assert KEY not in "".join([*texts, caplog.text])


def test_refused_key_has_a_clear_message(connect: Any, faulty: FaultyServer) -> None:
    faulty.on("GET", ".*", reply(401, {"statusCode": 401, "message": "Unauthorized"}))
    with pytest.raises(DaytonaAuthenticationError, match=r"Daytona refused the API key \(Unauthorized\)"):
        connect(DaytonaConfig(api_key=KEY, api_url=faulty.url)).get("i")


@pytest.mark.parametrize("url", ["not a url", "ftp://host/api", "http://host:port/api"])
def test_a_malformed_url_has_a_clear_message(connect: Any, url: str) -> None:
    with pytest.raises(DaytonaBadRequestError, match="DAYTONA_API_URL"):
        connect(DaytonaConfig(api_key=KEY, api_url=url)).get("i")


def test_a_dead_peer_is_noticed_by_keepalive(faulty: FaultyServer) -> None:
    from daytona_kernel.client.transport import build_request

    faulty.on("GET", "/", reply(200))
    transport = Transport()
    answer = transport.open(build_request("GET", faulty.url + "/", {}))
    connection = answer.extensions["network_stream"].get_extra_info("socket")
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 45
    answer.close()
    transport.close()


def test_a_transport_may_be_an_argument(kind: str) -> None:
    """A client with a transport as argument uses no network."""
    import httpx

    from daytona_kernel import AsyncDaytona, AsyncTransport, Daytona

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={**SANDBOX, "toolboxProxyUrl": "http://daytona.test/toolbox"})

    config = DaytonaConfig(api_key=KEY, api_url="http://daytona.test/api")
    if kind == "sync":
        with Daytona(config, transport=Transport(http=httpx.MockTransport(answer))) as daytona:
            assert daytona.get("i").toolbox_url == "http://daytona.test/toolbox/i"
        return

    async def ask() -> str:
        transport = AsyncTransport(http=httpx.MockTransport(answer))
        async with AsyncDaytona(config, transport=transport) as daytona:
            return (await daytona.get("i")).toolbox_url

    import anyio

    assert anyio.run(ask) == "http://daytona.test/toolbox/i"
