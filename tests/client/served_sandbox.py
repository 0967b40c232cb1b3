"""A sandbox that a faulty server serves, and a client that uses it over a real connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daytona_kernel import DaytonaConfig

from .conftest import KEY
from .faulty_server import reply

if TYPE_CHECKING:
    from .faulty_server import Exchange, FaultyServer

SANDBOX = {"id": "i", "name": "n", "state": "started", "labels": {}, "env": {}}


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
