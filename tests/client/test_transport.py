"""Keys, redirects, errors and dead peers, over real connections. test_tls and test_proxies have the rest."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel import (
    DaytonaAuthenticationError,
    DaytonaBadRequestError,
    DaytonaConfig,
    DaytonaError,
    DaytonaNotFoundError,
)
from daytona_kernel.client.transport import Transport

from .conftest import KEY
from .faulty_server import FaultyServer, hang_up, reply
from .served_sandbox import SANDBOX, serve_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable


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
    with pytest.raises(DaytonaAuthenticationError, match=r"Daytona refused the API key \(Unauthorized\).*v2"):
        connect(DaytonaConfig(api_key=KEY, api_url=faulty.url)).get("i")


@pytest.mark.parametrize("url", ["not a url", "ftp://host/api", "http://host:port/api"])
def test_a_malformed_url_has_a_clear_message(connect: Any, url: str) -> None:
    with pytest.raises(DaytonaBadRequestError, match=r"api_url|DAYTONA_API_URL"):
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
