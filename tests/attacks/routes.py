"""The routes of the embedded server, from its own table: a new route is attacked without a new test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tornado.web

from daytona_kernel.server.app import API, CONTROL_ROUTES, TOOLBOX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_METHODS = ("get", "post", "put", "delete")
# Values for the fields of routes; the sandbox's id is filled in later.
_FIELDS = {
    "session_id": "s",
    "command_id": "c",
    "pty_id": "p",
    "context_id": "x",
    "port": "3000",
    "minutes": "15",
    "public": "true",
}


@dataclass(frozen=True)
class RouteRequest:
    """A method and a path of the server. The path contains `{sandbox_id}`, if it is about a sandbox."""

    method: str
    path: str
    handler: type[tornado.web.RequestHandler]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def requests_of(rows: Iterable[tuple[str, type[tornado.web.RequestHandler], Any]]) -> Iterator[RouteRequest]:
    """Yield a request for each method of each route."""
    control = {id(handler) for _, handler, _ in CONTROL_ROUTES}
    for route, handler, _ in rows:
        path = (API if id(handler) in control else TOOLBOX) + route.replace("{rest:.*}", "/")
        for name, value in _FIELDS.items():
            path = path.replace("{" + name + "}", value)
        for method in _METHODS:
            own = getattr(handler, method, None)
            if own not in (None, getattr(tornado.web.RequestHandler, method)):
                yield RouteRequest(method.upper(), path, handler)
