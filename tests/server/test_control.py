"""The control plane: the key, the shapes of answers, and the timers of idle sandboxes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import daytona_api_client as api_models  # both import a model when it is used
import daytona_toolbox_api_client as toolbox_models
import httpx
import pytest

from daytona_kernel.server import limits
from daytona_kernel.server.app import Server
from daytona_kernel.server.toolbox.sandbox import Description, Intervals
from daytona_kernel.server.toolbox.sandboxes import Sandboxes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.conftest import EmbeddedServer, Toolbox


@pytest.mark.parametrize("key", ["x", "wrong", "ü"])
def test_without_the_key_the_server_says_nothing(server: EmbeddedServer, toolbox: Toolbox, key: str) -> None:
    headers = {b"Authorization": f"Bearer {key}".encode()}
    for url in (
        f"{server.api_url}/sandbox",
        f"{server.api_url}/lease",
        f"{toolbox.base_url}process/session",
    ):
        answer = httpx.get(url, headers=headers, trust_env=False)
        assert answer.status_code == 401
        assert answer.json()["message"] == "Unauthorized"


def test_an_unknown_sandbox(api: httpx.Client) -> None:
    for method, path in (
        ("GET", "/sandbox/no"),
        ("DELETE", "/sandbox/no"),
        ("POST", "/sandbox/no/start"),
        ("POST", "/sandbox/no/stop"),
        ("PUT", "/sandbox/no/labels"),
        ("POST", "/sandbox/no/autostop/5"),
        ("GET", "/sandbox/no/ports/4000/preview-url"),
    ):
        answer = api.request(method, path)
        assert answer.status_code == 404, path
        assert answer.json()["statusCode"] == 404
        assert answer.json()["error"] == "Not Found"
        assert "no not found" in answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("PATCH", "/sandbox"), ("DELETE", "/config"), ("PUT", "/sandbox/x")],
)
def test_an_unknown_route_of_the_control_plane(api: httpx.Client, method: str, path: str) -> None:
    answer = api.request(method, path)
    assert (answer.status_code, answer.text) == (404, "404 page not found")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/git/status"), ("GET", "/process/execute"), ("POST", "/lsp/start")]
)
def test_an_unknown_route_of_the_toolbox(toolbox: Toolbox, method: str, path: str) -> None:
    answer = toolbox.request(method, path)
    assert (answer.status_code, answer.text) == (404, "404 page not found")


def test_answers_have_the_shapes_of_the_sdks_models(api: httpx.Client, toolbox: Toolbox) -> None:
    sandbox = api.get(f"/sandbox/{toolbox.sandbox['id']}").json()
    model = api_models.Sandbox.from_dict(sandbox)
    assert model is not None
    assert model.id == sandbox["id"]
    for number in ("cpu", "gpu", "memory", "disk"):
        assert isinstance(sandbox[number], int)
    listed = api.get("/sandbox").json()
    assert set(listed) == {"items", "nextCursor"}
    api_models.ListSandboxesResponse.from_dict(listed)
    assert "env" not in listed["items"][0]
    api_models.DaytonaConfiguration.from_dict(api.get("/config").json())
    api_models.PortPreviewUrl.from_dict(api.get(f"/sandbox/{sandbox['id']}/ports/4000/preview-url").json())
    assert api.get(f"/sandbox/{sandbox['id']}/toolbox-proxy-url").json() == {
        "url": sandbox["toolboxProxyUrl"]
    }
    toolbox.post("/process/session", json={"sessionId": "shape"})
    toolbox.run("shape", "true")
    toolbox_models.Session.from_dict(toolbox.get("/process/session/shape").json())
    toolbox.post("/files/folder", params={"path": "x", "mode": "755"})
    toolbox_models.FileInfo.from_dict(toolbox.get("/files/info", params={"path": "x"}).json())
    toolbox_models.PortList.from_dict(toolbox.get("/port").json())
    toolbox_models.WorkDirResponse.from_dict(toolbox.get("/work-dir").json())
    assert toolbox.get("/version").json()["version"]


def test_bad_requests(api: httpx.Client) -> None:
    assert api.post("/sandbox", content=b"{").status_code == 400
    assert api.post("/sandbox", json={"autoStopInterval": -1}).status_code == 400
    assert api.post("/sandbox", json={"env": {"A": 1}}).status_code == 400


def test_too_many_sandboxes(open_server: EmbeddedServer) -> None:
    with open_server.client() as api:
        created = [api.post("/sandbox", json={"labels": {"many": "1"}}) for _ in range(limits.SANDBOXES + 1)]
        assert created[-1].status_code == 429
        assert f"at most {limits.SANDBOXES}" in created[-1].json()["message"]
        for answer in created:
            if answer.status_code == 200:
                assert api.delete(f"/sandbox/{answer.json()['id']}").status_code == 200


class TestTimers:
    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def sandboxes(self, tmp_path: Path) -> Sandboxes:
        return Sandboxes(tmp_path, None, limits.Timings(minute=0.5))

    async def state(self, sandboxes: Sandboxes, sandbox_id: str, wanted: str | None) -> None:
        async with asyncio.timeout(20):
            while {one.id: one.state for one in sandboxes.all()}.get(sandbox_id) != wanted:
                await asyncio.sleep(0.01)

    async def test_an_idle_sandbox_is_stopped_and_then_deleted(
        self, sandboxes: Sandboxes, tmp_path: Path
    ) -> None:
        sandbox = await sandboxes.create(Description(""), Intervals(auto_stop=1, auto_delete=1))
        await self.state(sandboxes, sandbox.id, "stopped")
        assert (tmp_path / sandbox.id).exists()
        await self.state(sandboxes, sandbox.id, None)
        await sandboxes.close()
        assert not (tmp_path / sandbox.id).exists()

    async def test_activity_postpones_the_stop(self, sandboxes: Sandboxes) -> None:
        sandbox = await sandboxes.create(Description(""), Intervals(auto_stop=2))
        created = sandbox.active_at
        loop = asyncio.get_running_loop()
        while loop.time() < created + 1.6:
            sandbox.touch()
            await asyncio.sleep(0.02)
        assert sandbox.state == "started"
        await self.state(sandboxes, sandbox.id, "stopped")
        assert sandbox.stopped_at >= sandbox.active_at + 1.0
        await sandboxes.close()

    async def test_a_request_in_progress_is_activity(self, sandboxes: Sandboxes) -> None:
        sandbox = await sandboxes.create(Description(""), Intervals(auto_stop=1))
        sandbox.requests += 1
        await asyncio.sleep(1.2)
        assert sandbox.state == "started"
        sandbox.requests -= 1
        await self.state(sandboxes, sandbox.id, "stopped")
        await sandboxes.close()

    async def test_an_interval_that_is_set_later_counts(self, sandboxes: Sandboxes) -> None:
        sandbox = await sandboxes.create(Description(""), Intervals(auto_stop=0))
        sandbox.set_interval("auto_delete", 0)
        sandbox.set_interval("auto_stop", 1)
        await self.state(sandboxes, sandbox.id, None)
        await sandboxes.close()


def test_requests_that_skip_activity_do_not_count(api: httpx.Client, toolbox: Toolbox) -> None:
    def last() -> str:
        value: str = api.get(f"/sandbox/{toolbox.sandbox['id']}").json()["lastActivityAt"]
        return value

    toolbox.execute("true")
    before = last()
    skip = {"X-Daytona-Skip-Last-Activity-Update": "true"}
    toolbox.post("/process/execute", json={"command": "sleep 0.01"}, headers=skip)
    assert last() == before
    toolbox.execute("sleep 0.01")
    assert last() > before


@pytest.mark.anyio
async def test_a_connection_past_the_limit_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SOCKETS", 2)
    server = Server(tmp_path, "key", None, limits.Timings())
    server.listen("127.0.0.1", 0)

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /api/sandbox HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key\r\n\r\n")
        return reader, writer

    first, second = [await connect() for _ in range(2)]
    for reader, _ in (first, second):
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    third = await connect()
    with contextlib.suppress(ConnectionResetError):
        assert await third[0].read() == b""
    first[1].close()
    async with asyncio.timeout(20):
        answer = b""
        while not answer:  # until the server has noticed the end of the first connection
            fourth = await connect()
            with contextlib.suppress(ConnectionResetError):
                answer = await fourth[0].readline()
            fourth[1].close()
    assert answer == b"HTTP/1.1 200 OK\r\n"
    for _, writer in (second, third):
        writer.close()
    await server.close()


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"memory": 1 << 20}, "GiB of memory, and not 1048576"),
        ({"cpu": 10_000}, "cores, and not 10000"),
        ({"disk": 1 << 30}, "GiB of free disk, and not"),
        ({"gpu": 1}, "have no GPU"),
        ({"volumes": [{"volumeId": "data", "mountPath": "/data"}]}, "have no volumes"),
        ({"domainAllowList": "example.com"}, "have no list of allowed domains"),
        ({"snapshot": "nosuch"}, "there is no snapshot 'nosuch'"),
    ],
)
def test_a_sandbox_that_this_machine_cannot_make_is_refused(
    api: httpx.Client, wanted: dict[str, Any], says: str
) -> None:
    answer = api.post("/sandbox", json=wanted)
    assert answer.status_code == 400
    assert says in answer.json()["message"]


def test_a_sandbox_is_the_first_that_the_oom_killer_takes(server: EmbeddedServer, toolbox: Toolbox) -> None:
    scores = toolbox.execute("cat /proc/self/oom_score_adj; cat /proc/$PPID/oom_score_adj")["result"].split()
    assert min(map(int, scores)) >= 500
    if server.isolation == "bubblewrap":
        assert int(toolbox.execute("cat /proc/1/oom_score_adj")["result"]) < int(scores[0])
