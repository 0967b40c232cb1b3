"""The embedded server as a child of the tests, a faulty server, and the sync and the async client."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from anyio.from_thread import start_blocking_portal

from daytona_kernel import (
    AsyncDaytona,
    AsyncLogFollower,
    Daytona,
    DaytonaConfig,
    LogFollower,
    SandboxInstance,
)
from daytona_kernel.client import embedded
from daytona_kernel.client.api import Api, AsyncApi
from daytona_kernel.client.follow_steps import FollowTimings
from daytona_kernel.client.process import AsyncProcess, Process
from daytona_kernel.client.run_commands import code_toolbox
from daytona_kernel.client.transport import AsyncTransport, Transport

from .blocking import Blocking
from .faulty_server import FaultyServer
from .served_log import Toolbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from daytona_kernel.client.embedded_server import EmbeddedServer

KEY = "dtn_a-key-that-must-never-be-seen"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DAYTONA_")]:
        monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """The embedded server, shared by all these tests."""
    started = embedded.start()
    started.ready()
    yield started
    started.close(now=True)


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of client that a test uses."""
    return str(request.param)


@pytest.fixture
def connect(kind: str) -> Iterator[Callable[..., Any]]:
    """Returns new clients of this kind. The async client is wrapped in `Blocking`."""
    made: list[Any] = []
    if kind == "sync":

        def make(config: DaytonaConfig | None = None) -> Any:
            made.append(Daytona(config))
            return made[-1]

        yield make
        for client in made:
            client.close()
        return
    with start_blocking_portal() as portal:

        def make_async(config: DaytonaConfig | None = None) -> Any:
            made.append(Blocking(AsyncDaytona(config), portal))
            return made[-1]

        yield make_async
        for client in made:
            client.close()


@pytest.fixture
def daytona(connect: Callable[..., Any], profiled: DaytonaConfig) -> Any:
    """A client of an embedded server."""
    return connect(profiled)


@pytest.fixture
def sandbox(daytona: Any) -> Iterator[Any]:
    """A sandbox of the embedded server."""
    made = daytona.create()
    yield made
    made.delete()


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    """A server that follows a script."""
    made = FaultyServer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that no system trusts."""
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
    """The authority's certificate."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def process(kind: str, faulty: FaultyServer) -> Iterator[Any]:
    """A `Process` whose toolbox is the faulty server."""
    headers = {"Authorization": f"Bearer {KEY}"}
    instance = SandboxInstance("id", "name", "started", faulty.url)
    if kind == "sync":
        transport = Transport()
        yield Process(code_toolbox(), Api(faulty.url, headers, transport, 10), instance)
        transport.close()
        return
    with start_blocking_portal() as portal:
        async_transport = AsyncTransport()
        api = AsyncApi(faulty.url, headers, async_transport, 10)
        yield Blocking(AsyncProcess(code_toolbox(), api, instance), portal)
        portal.call(async_transport.aclose)


@pytest.fixture
def toolbox(faulty: FaultyServer) -> Toolbox:
    """The toolbox of a command on the faulty server."""
    return Toolbox(faulty)


FAST = FollowTimings(first_quiet=0.2, first_pause=0.01, longest_pause=0.05)


@pytest.fixture
def follow(kind: str, process: Any) -> Callable[..., Any]:
    """Follows a command's log on the faulty server, and soon checks a silent stream."""

    def start(session_id: str = "s", command_id: str = "c", offset: int = 0) -> Any:
        if kind == "sync":
            return LogFollower(process.toolbox_api, session_id, command_id, offset, FAST)
        follower = AsyncLogFollower(process.toolbox_api, session_id, command_id, offset, FAST)
        return process.wrap(follower)

    return start


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replaces the pauses between attempts, and lists their seconds."""
    pauses: list[float] = []

    def record(seconds: float) -> None:
        pauses.append(seconds)

    async def record_async(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("daytona_kernel.client.api.time.sleep", record)
    monkeypatch.setattr("daytona_kernel.client.api.asyncio.sleep", record_async)
    return pauses
