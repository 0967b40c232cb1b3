"""Certificate authorities, handshakes and websockets over TLS, with real connections."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from daytona_kernel import DaytonaConnectionError
from daytona_kernel.client import transport_options
from daytona_kernel.client.transport import AsyncTransport, Transport

from .served_sandbox import serve_sandbox, use

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme

    from .faulty_server import FaultyServer


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
