"""Proxies of the environment, over real connections."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from daytona_kernel.client.transport_options import proxy_for

from .served_sandbox import serve_sandbox, use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .faulty_server import FaultyServer


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
