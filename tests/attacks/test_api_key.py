"""Servers that want the API key, and texts that could show it. The key goes only to the API's own host."""

from __future__ import annotations

import logging
import os
import subprocess
import traceback
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from daytona_kernel import (
    AsyncDaytona,
    AsyncLogFollower,
    AsyncTransport,
    Daytona,
    DaytonaAuthenticationError,
    DaytonaConfig,
    DaytonaConnectionError,
    DaytonaError,
    Transport,
)
from daytona_kernel.config import resolve
from daytona_kernel.interpreter.connection import Credentials
from daytona_kernel.interpreter.gateway import AgentGateway, LaunchedAgent
from daytona_kernel.settings.table import TABLE
from tests.client.faulty_server import FaultyServer, reply
from tests.kernel.driver import running_kernel
from tests.served import COMMAND

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from daytona_kernel import AsyncSandbox
    from tests.client.faulty_server import Exchange

KEY = "dtn_a-key-that-must-never-be-seen"
TOKEN = "preview-token-that-must-never-be-seen"
SANDBOX = {"id": "i", "name": "n", "state": "started", "labels": {}, "env": {}}
REDIRECTS = (300, 301, 302, 303, 307, 308)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DAYTONA_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def api() -> Iterator[FaultyServer]:
    made = FaultyServer()
    made.on("GET", "/api/sandbox/i", reply(200, {**SANDBOX, "toolboxProxyUrl": f"{made.url}/toolbox"}))
    yield made
    made.close()


@pytest.fixture
def thief() -> Iterator[FaultyServer]:
    """A server that accepts and keeps every request."""
    made = FaultyServer()
    made.on("GET", ".*", lambda exchange: exchange.accept_websocket())
    made.on("POST", ".*", reply(200, {"exitCode": 0, "result": "stolen"}))
    yield made
    made.close()


def agent_gateway(sandbox: AsyncSandbox) -> AgentGateway:
    credentials = Credentials(link="l", secret="s" * 20)
    return AgentGateway(sandbox, LaunchedAgent("s", "c", 3000, credentials, "m"))


async def read_log(sandbox: AsyncSandbox) -> None:
    async with AsyncLogFollower(sandbox.process.toolbox_api, "s", "c") as follower:
        async for _ in follower:
            pass


# Each way in which the client sends the key or a token to a toolbox.
SENDERS: dict[str, Callable[[AsyncSandbox], Awaitable[object]]] = {
    "request": lambda sandbox: sandbox.process.exec("true"),
    "websocket": lambda sandbox: sandbox.open_websocket(f"{sandbox.toolbox_url}/proxy/3000/"),
    "log": read_log,
    "agent": lambda sandbox: agent_gateway(sandbox).open(),
    "sync request": lambda sandbox: anyio.to_thread.run_sync(use_sync, sandbox, "exec"),
    "sync websocket": lambda sandbox: anyio.to_thread.run_sync(use_sync, sandbox, "websocket"),
}


def use_sync(other: AsyncSandbox, what: str) -> None:
    url = str(other._api.url)
    with Daytona(DaytonaConfig(api_key=KEY, api_url=url)) as daytona:
        sandbox = daytona.get("i")
        if what == "exec":
            sandbox.process.exec("true")
        else:
            sandbox.open_websocket(f"{sandbox.toolbox_url}/proxy/3000/").close()


def send(api: FaultyServer, sender: str) -> DaytonaError:
    """Use the client against a server that refuses, and return the exception."""

    async def use() -> DaytonaError:
        async with AsyncDaytona(DaytonaConfig(api_key=KEY, api_url=f"{api.url}/api")) as daytona:
            sandbox = await daytona.get("i")
            with anyio.fail_after(20), pytest.raises(DaytonaError) as caught:
                await SENDERS[sender](sandbox)
            return caught.value

    return anyio.run(use)


@pytest.mark.parametrize(
    "location", ["/steal", "{thief}/steal", "ws://{thief_host}/steal", "//{thief_host}/x"]
)
@pytest.mark.parametrize("sender", SENDERS)
def test_no_redirect_is_followed(api: FaultyServer, thief: FaultyServer, sender: str, location: str) -> None:
    host = thief.url.removeprefix("http://")
    target = location.format(thief=thief.url, thief_host=host)
    preview = {"url": f"{api.url}/preview", "token": TOKEN}
    api.on("GET", "/api/sandbox/i/ports/3000/preview-url", reply(200, preview))
    for status in REDIRECTS:
        for method in ("GET", "POST"):
            api.on(method, "/(toolbox|preview).*", reply(status, b"", location=target))
        before = len(api.requests)
        send(api, sender)
        assert len(api.requests) > before
    assert [got.path for got in api.requests if "steal" in got.path] == []
    assert thief.requests == []


def echo(status: int) -> Callable[[Exchange], None]:
    """Answer with the request's secrets in every place that a client could show."""

    def answer(exchange: Exchange) -> None:
        headers = exchange.request.headers
        shown = headers.get("authorization", "") + headers.get("x-daytona-preview-token", "")
        exchange.reply(status, {"message": f"no: {shown}", "code": shown}, x_request_id=shown, x_echo=shown)

    return answer


def texts_of(error: BaseException | None) -> Iterator[str]:
    yield "".join(traceback.format_exception(error))
    while error is not None:
        yield from (str(error), repr(error), str(vars(error)), str(getattr(error, "__notes__", "")))
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
@pytest.mark.parametrize("sender", SENDERS)
def test_a_server_that_sends_the_key_back_does_not_get_it_shown(
    api: FaultyServer, sender: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    preview = {"url": f"{api.url}/preview", "token": TOKEN}
    api.on("GET", "/api/sandbox/i/ports/3000/preview-url", reply(200, preview))
    for method in ("GET", "POST"):
        api.on(method, "/(toolbox|preview).*", echo(status))
    shown = "".join([*texts_of(send(api, sender)), caplog.text, *map(str, caplog.records)])
    assert KEY not in shown
    assert TOKEN not in shown
    if sender in ("request", "sync request"):
        assert "no: Bearer …seen" in shown


FORBIDDEN = ["\r", "\n", "\t", "\0", " ", "é", "\x7f", "\ud800"]


@pytest.mark.parametrize("character", FORBIDDEN)
@pytest.mark.parametrize("variable", ["DAYTONA_API_KEY", "DAYTONA_JWT_TOKEN", "DAYTONA_ORGANIZATION_ID"])
def test_a_value_that_no_header_can_carry_is_refused_by_name(variable: str, character: str) -> None:
    value = f"secret-before{character}secret-after"
    with pytest.raises(DaytonaAuthenticationError) as caught:
        resolve(environ={variable: value})
    assert variable in str(caught.value)
    assert "secret-" not in "".join(texts_of(caught.value))
    name = variable.removeprefix("DAYTONA_").lower()
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(DaytonaAuthenticationError) as caught:
        Daytona(DaytonaConfig(**arguments))
    assert name in str(caught.value)
    assert "secret-" not in "".join(texts_of(caught.value))


def test_white_space_around_a_key_is_not_part_of_it() -> None:
    settings = resolve(environ={"DAYTONA_API_KEY": f" {KEY}\r\n", "DAYTONA_API_URL": "\thttp://h/api\n"})
    assert settings.api_key.value == KEY
    assert settings.api_url.value == "http://h/api"
    assert resolve(environ={"DAYTONA_API_KEY": "\r\n"}).embedded


@pytest.mark.kernel
def test_a_notebook_and_the_command_line_show_no_part_of_a_key_that_cannot_be_sent(tmp_path: Any) -> None:
    key = "dtn_first-half\rsecond-half\u00e9"
    url = "http://127.0.0.1:9/api"
    with running_kernel(DAYTONA_API_KEY=key, DAYTONA_API_URL=url) as kernel:
        shown = "".join(
            str([answer.messages, answer.reply])
            for answer in (kernel.run(code) for code in ("1+1", "%daytona", "%sh ls", "%sandbox list"))
        )
    assert "DAYTONA_API_KEY" in shown
    for command in (["doctor"], ["sandboxes"]):
        environment = os.environ | {"DAYTONA_API_KEY": key, "DAYTONA_API_URL": url}
        done = subprocess.run(
            [COMMAND, *command], env=environment, capture_output=True, text=True, check=False
        )
        shown += done.stdout + done.stderr
    assert "first-half" not in shown
    assert "second-half" not in shown


def test_credentials_in_an_address_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://user:pass%2Fword@host.test/api?token=query-secret"
    config = DaytonaConfig(api_key=KEY, api_url=url)
    with Daytona(config) as daytona:
        shown = [repr(config), repr(daytona), repr(daytona._api), daytona.settings.api_url.shown]
        shown.append(repr(daytona.settings))
    with pytest.raises(DaytonaAuthenticationError) as caught:
        resolve(environ={"DAYTONA_API_URL": url})
    shown += texts_of(caught.value)
    for text in shown:
        assert "pass" not in text
        assert "query-secret" not in text
        assert KEY not in text
    assert "host.test" in shown[0]


def named_by(api_url: str, toolbox: str) -> tuple[Exception | None, list[str]]:
    """Let an API name a toolbox. Return the error of a request to it, and the hosts that received the key."""
    reached = []

    def answer(request: httpx.Request) -> httpx.Response:
        if KEY in request.headers.get("authorization", ""):
            reached.append(f"{request.url.scheme}://{request.url.host}")
        described = {**SANDBOX, "toolboxProxyUrl": f"{toolbox}/toolbox"}
        return httpx.Response(200, json=described | {"exitCode": 0, "result": ""})

    transport = Transport(http=httpx.MockTransport(answer))
    with Daytona(DaytonaConfig(api_key=KEY, api_url=api_url), transport=transport) as daytona:
        sandbox = daytona.get("i")
        try:
            sandbox.process.exec("true")
        except DaytonaConnectionError as error:
            with pytest.raises(DaytonaConnectionError):
                sandbox.open_websocket(f"{sandbox.toolbox_url}/proxy/3000/")
            return error, reached[1:]
    return None, reached[1:]


@pytest.mark.parametrize(
    ("api_url", "toolbox"),
    [
        ("https://app.daytona.io/api", "https://proxy.app.daytona.io"),
        ("https://app.daytona.io/api", "https://app.daytona.io"),
        ("https://own.test/api", "https://toolbox.elsewhere.test"),
        ("http://localhost:3000/api", "http://localhost:4000"),
        ("http://own.test/api", "https://own.test"),
    ],
)
def test_the_key_goes_to_the_toolbox_that_the_api_names(api_url: str, toolbox: str) -> None:
    assert named_by(api_url, toolbox) == (None, [toolbox.replace(":4000", "")])


@pytest.mark.parametrize(
    ("api_url", "toolbox"),
    [
        ("https://app.daytona.io/api", "http://proxy.app.daytona.io"),
        ("https://app.daytona.io/api", "https://evil.test"),
        ("https://app.daytona.io/api", "https://daytona.io.evil.test"),
        ("https://app.daytona.io/api", "https://evildaytona.io"),
        ("https://app.daytona.io/api", "https://app.daytona.io@evil.test"),
        ("https://own.test/api", "http://own.test"),
        ("https://own.test/api", "HTTP://own.test"),
    ],
)
def test_the_key_goes_to_no_other_toolbox(api_url: str, toolbox: str) -> None:
    error, reached = named_by(api_url, toolbox)
    assert reached == []
    assert error is not None
    assert KEY not in "".join(texts_of(error))


def test_a_region_of_the_organization_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TABLE["toolbox_hosts"].variable, "other.test, region.test")
    assert named_by("https://app.daytona.io/api", "https://region.test") == (None, ["https://region.test"])
    error, reached = named_by("https://app.daytona.io/api", "http://region.test")
    assert reached == []
    assert error is not None


def test_an_api_at_https_leads_to_no_preview_without_encryption() -> None:
    async def use() -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            described = {**SANDBOX, "toolboxProxyUrl": "https://own.test/toolbox"}
            return httpx.Response(200, json=described | {"url": "http://own.test/", "token": TOKEN})

        transport = AsyncTransport(http=httpx.MockTransport(answer))
        config = DaytonaConfig(api_key=KEY, api_url="https://own.test/api")
        async with AsyncDaytona(config, transport=transport) as daytona:
            gateway = agent_gateway(await daytona.get("i"))
            with pytest.raises(DaytonaConnectionError, match="without encryption"):
                await gateway.open()

    anyio.run(use)
