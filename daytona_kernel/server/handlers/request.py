"""The base classes of all handlers: authorization, bodies, refusals and websockets."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import http
import json
import sys
import traceback
from typing import TYPE_CHECKING, Any

import tornado.web
import tornado.websocket
from tornado.http1connection import HTTP1Connection

from .. import failures
from ..failures import ApiError
from ..timestamps import timestamp
from .fields import parse_object

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..connections import BoundedServer
    from ..toolbox.sandbox import Sandbox
    from ..toolbox.sandboxes import Sandboxes

NO_TIME = "0001-01-01T00:00:00Z"
SKIP_ACTIVITY = "X-Daytona-Skip-Last-Activity-Update"
# Each of them is in every request that a browser could be made to send.
_FROM_PAGES = {"Origin", "Sec-Fetch-Site"}


class UnknownRouteError(Exception):
    """No route has the request's path and method. The answer is plain text, with or without the key."""


@tornado.web.stream_request_body
class ApiHandler(tornado.web.RequestHandler):
    """A route that requires the server's key. `prepare` decides on the head, before a body is read."""

    _is_for_pages = False  # whether pages in a browser may use the route
    _body: bytearray | None = None

    def prepare(self) -> None:
        method = (self.request.method or "").lower()
        if getattr(type(self), method, None) in (None, getattr(tornado.web.RequestHandler, method, None)):
            raise UnknownRouteError
        if not self._is_for_pages and not _FROM_PAGES.isdisjoint(self.request.headers):
            raise ApiError(403, "This server does not answer pages in a browser", "FORBIDDEN")
        if not self.is_authorized():
            raise ApiError(401, "Unauthorized", "UNAUTHORIZED")
        connection = self.request.connection
        if isinstance(connection, HTTP1Connection):
            connections: BoundedServer = self.settings["connections"]
            connections.know(connection.stream)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._body is None:
            self._body = bytearray()
        self._body += chunk
        return None

    def is_authorized(self) -> bool:
        """Return whether the request has the server's key."""
        scheme, _, key = self.request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            key.strip().encode(), self.settings["api_key"].encode()
        )

    @property
    def sandboxes(self) -> Sandboxes:
        """The server's sandboxes."""
        sandboxes: Sandboxes = self.settings["sandboxes"]
        return sandboxes

    @property
    def origin(self) -> str:
        """The server's URL as the client wrote it: that address is known to work for the client."""
        return f"{self.request.protocol}://{self.request.host}"

    def json_body(self, invalid: Callable[[str], ApiError] = failures.bad_request) -> dict[str, Any]:
        """Return the body, a JSON object. If it is something else, raise the error that `invalid` returns."""
        return parse_object(bytes(self._body or b"{}"), invalid)

    def answer(self, value: object, status: int = 200) -> None:
        """Answer with `value` as JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(value))

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def compute_etag(self) -> None:
        return None

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, ApiError | UnknownRouteError | tornado.web.HTTPError):
            traceback.print_exception(typ, value, tb, file=sys.stderr)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        # Tornado closes the connection after an answer that comes before the body was read. Unless the answer
        # says so, the client's next request may go to a connection that is gone.
        self.set_header("Connection", "close")
        if isinstance(error, UnknownRouteError):
            self.set_status(404)
            self.set_header("Content-Type", "text/plain")
            self.finish("404 page not found")
            return
        if isinstance(error, ApiError):
            failure = error
        elif isinstance(error, tornado.web.HTTPError):
            message = error.log_message or http.HTTPStatus(status_code).phrase
            failure = ApiError(status_code, message, None)
        else:
            failure = failures.untyped("internal server error")
        self.set_status(failure.status)
        if failure.empty:
            self.finish()
        else:
            self.answer(self.failure_body(failure), failure.status)

    def failure_body(self, failure: ApiError) -> dict[str, Any]:
        """Return `failure` in the control plane's JSON."""
        return {
            "statusCode": failure.status,
            "message": failure.message,
            "error": http.HTTPStatus(failure.status).phrase,
            "timestamp": timestamp(),
            "path": self.request.path,
        }


class NotFoundHandler(ApiHandler):
    """The answer for every path without a route."""

    def prepare(self) -> None:
        raise UnknownRouteError


class ToolboxHandler(ApiHandler):
    """A route of one sandbox's toolbox. `self.sandbox` is that sandbox."""

    sandbox: Sandbox
    _counted = False  # whether the sandbox counts this request among those in progress

    def prepare(self) -> None:
        super().prepare()
        self.sandbox = self.sandboxes.get(self.path_kwargs.pop("sandbox_id"))
        if self.sandbox.state != "started":
            raise failures.bad_request(f"sandbox is not started, it is {self.sandbox.state}")
        self._counted = SKIP_ACTIVITY not in self.request.headers
        if self._counted:
            self.sandbox.requests += 1
            self.sandbox.touch()

    def on_finish(self) -> None:
        if self._counted:
            self._counted = False
            self.sandbox.requests -= 1
            self.sandbox.touch()

    def on_connection_close(self) -> None:
        self.on_finish()  # if this is in the middle of the body, Tornado does not call it
        super().on_connection_close()

    def failure_body(self, failure: ApiError) -> dict[str, Any]:
        """Return `failure` in the toolbox's JSON."""
        if failure.code is None:
            return {
                "statusCode": failure.status,
                "message": failure.message,
                "timestamp": NO_TIME,
                "path": "",
                "method": "",
            }
        path = self.request.path
        if hasattr(self, "sandbox"):
            path = path.removeprefix(f"/toolbox/{self.sandbox.id}")
        return {
            "statusCode": failure.status,
            "message": failure.message,
            "code": failure.code,
            "timestamp": timestamp(),
            "path": path,
            "method": self.request.method,
        }


class SocketHandler(ToolboxHandler, tornado.websocket.WebSocketHandler):
    """A toolbox route that is, or may become, a websocket. `serve` runs while the websocket is open."""

    _serving: asyncio.Task[None] | None = None

    def is_upgrade(self) -> bool:
        """Return whether the client asks for a websocket."""
        return self.request.headers.get("Upgrade", "").lower() == "websocket"

    async def upgrade(self) -> None:
        """Answer with the websocket."""
        await tornado.websocket.WebSocketHandler.get(self)

    def open(self, *_: str, **__: str) -> None:
        self.set_nodelay(True)
        # A task, because Tornado reads nothing, not even a ping, until this method returns.
        self._serving = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        with contextlib.suppress(tornado.websocket.WebSocketClosedError):
            try:
                await self.serve()
            except ApiError as failure:
                self.close(1008, failure.message[:120])
            except Exception:  # noqa: BLE001  # the client must see every failure as a close code
                traceback.print_exc()
                self.close(1011, "internal server error")

    async def serve(self) -> None:
        """Exchange messages with the client. A subclass says which."""

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        for offered in subprotocols:
            if offered.startswith("X-Daytona-SDK-Version~"):
                return offered
        return None

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002  # Tornado's signature
        return True  # a page of another site does not have the key

    def on_message(self, message: str | bytes) -> Any:
        """Ignore the message. A subclass that reads messages overrides this."""

    def on_finish(self) -> None:
        if self.ws_connection is None:  # a request that became a websocket lasts until that closes
            super().on_finish()

    def on_close(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
        super().on_finish()
