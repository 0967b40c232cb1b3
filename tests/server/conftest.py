"""Real servers in separate processes, and clients that speak to them over real sockets."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.child_warnings import SHOW_WARNINGS, warnings_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 60.0


def eventually(condition: Callable[[], Any], what: str, deadline: float = DEADLINE) -> Any:
    """Wait until `condition` returns something true, and return that. Fail after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not (result := condition()):
        if time.monotonic() > end:
            pytest.fail(f"still not true after {deadline} s: {what}")
        time.sleep(0.01)
    return result


def processes_with(mark: str) -> list[int]:
    """Return the processes with `mark` in their environment or arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                if mark.encode() in text and int(entry.name) != os.getpid():
                    found.append(int(entry.name))
    return found


@dataclasses.dataclass
class EmbeddedServer:
    """A server, started as a kernel starts it, and the lease that keeps it alive."""

    process: subprocess.Popen[bytes]
    api_url: str
    api_key: str
    isolation: str
    directory: Path
    lease: httpx.Response | None = None
    clients: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.api_url, headers=self.headers, timeout=60, trust_env=False)

    def take_lease(self) -> httpx.Response:
        client = self.clients.enter_context(self.client())
        response = client.send(client.build_request("GET", "/lease"), stream=True)
        self.clients.callback(response.close)
        assert response.status_code == 200
        return response

    def end(self) -> None:
        if self.process.poll() is None:
            log = (self.directory / "server.log").read_text()
            with self.client() as client, contextlib.suppress(httpx.HTTPError):
                client.delete("/lease")
            assert warnings_in(log) == []
        try:
            self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.clients.close()
            assert self.process.stdout is not None
            self.process.stdout.close()


def start_embedded(
    env: dict[str, str] | None = None, *, python: str = sys.executable, **timings: float
) -> EmbeddedServer:
    """Start a server with the interpreter `python`. `timings` replace those of `limits.Timings`."""
    process = subprocess.Popen(
        [python, "-m", "daytona_kernel.server", "--embedded", json.dumps(timings)],
        stdout=subprocess.PIPE,
        env=os.environ | SHOW_WARNINGS | {"DAYTONA_KERNEL_PROFILE": "own"} | (env or {}),
    )
    assert process.stdout is not None
    with process.stdout as output:
        about = json.loads(output.readline())
    log = Path(f"/proc/{process.pid}/fd/1")
    directory = eventually(
        lambda: next(iter([path.parent for path in [log.resolve()] if path.name == "server.log"]), None),
        "the server has a log",
    )
    return EmbeddedServer(process, about["api_url"], about["api_key"], about["isolation"], directory)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    server = start_embedded(terminate_grace=1, warm_box_delay=0.5)
    server.lease = server.take_lease()
    yield server
    server.end()


@pytest.fixture(scope="session")
def open_server() -> Iterator[EmbeddedServer]:
    """A server without isolation."""
    server = start_embedded({"DAYTONA_KERNEL_ISOLATION": "none"}, terminate_grace=1)
    server.lease = server.take_lease()
    yield server
    server.end()


@pytest.fixture(scope="session")
def api(server: EmbeddedServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


class Toolbox(httpx.Client):
    """The toolbox of one sandbox."""

    sandbox: dict[str, Any]

    def execute(self, command: str, **more: Any) -> dict[str, Any]:
        answer = self.post("/process/execute", json={"command": command, **more})
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def run(self, session: str, command: str, **more: Any) -> dict[str, Any]:
        answer = self.post(f"/process/session/{session}/exec", json={"command": command, **more})
        assert answer.status_code in (200, 202), answer.text
        result: dict[str, Any] = answer.json()
        return result

    def websocket_url(self, path: str) -> str:
        return str(self.base_url).replace("http", "ws", 1).rstrip("/") + path


@contextlib.contextmanager
def make_toolbox(server: EmbeddedServer, *, keep: bool = False, **parameters: Any) -> Iterator[Toolbox]:
    """Create a sandbox and yield its toolbox when it has started. Delete it at the end, unless `keep`."""
    with server.client() as client:
        answer = client.post("/sandbox", json=parameters)
        assert answer.status_code == 200, answer.text
        sandbox = answer.json()
        if sandbox["state"] != "started":
            path = f"/sandbox/{sandbox['id']}"
            eventually(lambda: client.get(path).json()["state"] == "started", "the sandbox has started")
        url = f"{sandbox['toolboxProxyUrl']}/{sandbox['id']}"
        with Toolbox(base_url=url, headers=server.headers, timeout=60, trust_env=False) as toolbox:
            toolbox.headers["X-Daytona-SDK-Version"] = "0.226.1"
            toolbox.sandbox = sandbox
            yield toolbox
        if not keep:
            client.delete(f"/sandbox/{sandbox['id']}")


@pytest.fixture(scope="module")
def toolbox(server: EmbeddedServer) -> Iterator[Toolbox]:
    with make_toolbox(server) as toolbox:
        yield toolbox


@pytest.fixture(scope="module")
def open_toolbox(open_server: EmbeddedServer) -> Iterator[Toolbox]:
    """The toolbox of a sandbox without isolation."""
    with make_toolbox(open_server) as toolbox:
        yield toolbox


@contextlib.contextmanager
def new_session(toolbox: Toolbox) -> Iterator[str]:
    """Yield the name of a session that ends with the block."""
    name = str(uuid.uuid4())
    assert toolbox.post("/process/session", json={"sessionId": name}).status_code == 201
    yield name
    toolbox.delete(f"/process/session/{name}")


@pytest.fixture
def session(toolbox: Toolbox) -> Iterator[str]:
    with new_session(toolbox) as name:
        yield name
