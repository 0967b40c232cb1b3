"""What every handler shares: who may ask, how a body is read, and how a refusal is written."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import http
import json
import sys
import traceback
from typing import TYPE_CHECKING, Any, TypeVar

import tornado.web
import tornado.websocket

from .. import failures
from ..failures import ApiError
from ..timestamps import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..toolbox.sandbox import Sandbox
    from ..toolbox.sandboxes import Sandboxes

T = TypeVar("T")
NO_TIME = "0001-01-01T00:00:00Z"
SKIP_ACTIVITY = "X-Daytona-Skip-Last-Activity-Update"
_REQUIRED = object()


class ApiHandler(tornado.web.RequestHandler):
    """A route that wants the server's key."""

    def prepare(self) -> None:
        method = (self.request.method or "").lower()
        if getattr(type(self), method, None) in (None, getattr(tornado.web.RequestHandler, method, None)):
            answer_unknown_route(self)  # a known path with another method is no route either
        elif not self.is_authorized():
            raise ApiError(401, "Unauthorized", "UNAUTHORIZED")

    def is_authorized(self) -> bool:
        scheme, _, key = self.request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            key.strip().encode(), self.settings["api_key"].encode()
        )

    @property
    def sandboxes(self) -> Sandboxes:
        sandboxes: Sandboxes = self.settings["sandboxes"]
        return sandboxes

    @property
    def origin(self) -> str:
        """The server's own URL, as the client called it, so that it can call back in the same way."""
        return f"{self.request.protocol}://{self.request.host}"

    def json_body(self, invalid: Callable[[str], ApiError] = failures.bad_request) -> dict[str, Any]:
        """Return the body as an object; `invalid` makes the failure that says it is none."""
        try:
            body = json.loads(self.request.body or b"{}")
        except ValueError as error:
            raise invalid(str(error)) from None
        if not isinstance(body, dict):
            raise invalid("a JSON object is expected")
        return body

    def answer(self, value: object, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(value))

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def compute_etag(self) -> None:
        return None

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, ApiError | tornado.web.HTTPError):
            traceback.print_exception(typ, value, tb, file=sys.stderr)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, ApiError):
            failure = error
        elif isinstance(error, tornado.web.HTTPError):
            failure = ApiError(status_code, error.log_message or self._reason, None)
        else:
            failure = failures.untyped("internal server error")
        self.set_status(failure.status)
        if failure.empty:
            self.finish()
        else:
            self.answer(self.failure_body(failure), failure.status)

    def failure_body(self, failure: ApiError) -> dict[str, Any]:
        """The control plane's shape."""
        return {
            "statusCode": failure.status,
            "message": failure.message,
            "error": http.HTTPStatus(failure.status).phrase,
            "timestamp": timestamp(),
            "path": self.request.path,
        }


class NotFoundHandler(ApiHandler):
    """An unknown route, or a known one with another method: plain text, whoever asks."""

    def prepare(self) -> None:
        answer_unknown_route(self)


def answer_unknown_route(handler: tornado.web.RequestHandler) -> None:
    handler.set_status(404)
    handler.set_header("Content-Type", "text/plain")
    handler.finish("404 page not found")


class ToolboxHandler(ApiHandler):
    """A route of one sandbox's toolbox; `self.sandbox` is that sandbox."""

    sandbox: Sandbox

    def prepare(self) -> None:
        super().prepare()
        if self._finished:
            return
        self.sandbox = self.sandboxes.get(self.path_kwargs.pop("sandbox_id"))
        if self.sandbox.state != "started":
            raise failures.bad_request(f"sandbox is not started, it is {self.sandbox.state}")
        self._counted = SKIP_ACTIVITY not in self.request.headers
        if self._counted:
            self.sandbox.requests += 1
            self.sandbox.touch()

    def on_finish(self) -> None:
        if getattr(self, "_counted", False):
            self._counted = False
            self.sandbox.requests -= 1
            self.sandbox.touch()

    def failure_body(self, failure: ApiError) -> dict[str, Any]:
        if failure.code is None:
            return {
                "statusCode": failure.status,
                "message": failure.message,
                "timestamp": NO_TIME,
                "path": "",
                "method": "",
            }
        return {
            "statusCode": failure.status,
            "message": failure.message,
            "code": failure.code,
            "timestamp": timestamp(),
            "path": self.request.path.removeprefix(f"/toolbox/{self.sandbox.id}")
            if hasattr(self, "sandbox")
            else self.request.path,
            "method": self.request.method,
        }


class SocketHandler(ToolboxHandler, tornado.websocket.WebSocketHandler):
    """A toolbox route that is a websocket, or becomes one; `serve` runs while it is open."""

    _serving: asyncio.Task[None] | None = None

    async def upgrade(self) -> None:
        """Answer with the websocket."""
        await tornado.websocket.WebSocketHandler.get(self)

    def open(self, *args: str, **kwargs: str) -> None:
        self.set_nodelay(True)
        # A task: Tornado reads nothing, not even a ping, before this method has returned.
        self._serving = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        with contextlib.suppress(tornado.websocket.WebSocketClosedError):
            try:
                await self.serve()
            except ApiError as failure:
                self.close(1008, failure.message[:120])
            except Exception:
                traceback.print_exc()
                self.close(1011, "internal server error")

    async def serve(self) -> None:
        """Do what the websocket is for."""

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        for offered in subprotocols:
            if offered.startswith("X-Daytona-SDK-Version~"):
                return offered
        return None

    def check_origin(self, origin: str) -> bool:
        return True  # a page of another site does not have the key

    def on_message(self, message: str | bytes) -> Any:
        """What the client sends matters only to some."""

    def on_finish(self) -> None:
        if self.ws_connection is None:  # an upgraded request goes on until its websocket closes
            super().on_finish()

    def on_close(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
        super().on_finish()


def field(body: dict[str, Any], name: str, kind: type[T], default: Any = _REQUIRED) -> T | Any:
    """Return `body[name]`, which must be a `kind`; absent or null gives `default`. Raises 400."""
    value = body.get(name)
    if value is None:
        if default is _REQUIRED:
            raise failures.bad_request(f"{name} is required")
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise failures.bad_request(f"{name} must be of type {kind.__name__}")
    return value


def string_map(body: dict[str, Any], name: str) -> dict[str, str]:
    """Return `body[name]` as a map of strings; absent or null gives an empty one. Raises 400."""
    value = field(body, name, dict, {})
    if not all(isinstance(one, str) for pair in value.items() for one in pair):
        raise failures.bad_request(f"{name} must map strings to strings")
    return dict(value)
