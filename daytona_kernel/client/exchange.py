"""Requests to Daytona and its responses, without I/O.

An exchange is a generator that carries out one operation: it yields a step (a `Request` or a
`Sleep`), is sent the outcome, and returns the operation's result. `Api.run` and `AsyncApi.run`
drive it. They throw a connection's error into the generator, so that it can repeat the request.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..errors import DaytonaError, DaytonaNotFoundError
from .error_responses import error_of, request_id_of

if TYPE_CHECKING:
    from .operations.table import Operation


class RequestTimeout(Enum):
    """A request timeout that is not a number of seconds."""

    SETTINGS = "the request timeout of the client's settings"


class Body(Protocol):
    """A request's body that is not held in memory.

    length: its size in bytes. content_type: its MIME type.
    """

    length: int
    content_type: str

    def pieces(self) -> Iterator[bytes]:
        """Yield the whole body. Each call starts again at the first byte."""
        ...


class Sink(Protocol):
    """The receiver of a large response body."""

    def reset(self) -> None:
        """Discard everything written so far. It precedes each attempt, including the first."""
        ...

    def write(self, piece: bytes, /) -> object:
        """Take the next piece of the body."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, relative to the URL of the API or of a toolbox.

    fields: the values for the fields of the operation's route.
    json: the body as JSON; None for no body. body: a streamed body.
    sink: receives the body of a 2xx response; the `Response` then has an empty body.
    request_timeout: seconds to wait for each piece of the response; None waits forever.
    """

    operation: Operation
    fields: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    body: Body | None = None
    sink: Sink | None = None
    request_timeout: float | RequestTimeout | None = RequestTimeout.SETTINGS

    @property
    def path(self) -> str:
        """The route with its fields filled in and quoted."""
        return self.operation.path(self.fields)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response. The names in `headers` are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def json(self) -> Any:
        """Return the body as JSON. Raises DaytonaError if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError as exc:
            raise DaytonaError(
                f"The server's answer (status {self.status}) is not JSON. Check DAYTONA_API_URL.",
                status_code=self.status,
                request_id=request_id_of(self.headers),
            ) from exc

    def error(self) -> DaytonaError:
        """Return the exception for a response that is not 2xx."""
        message, code = self.body[:2000].decode("utf-8", "replace").strip(), None
        content = None
        if "json" in self.headers.get("content-type", "json"):
            try:
                content = json.loads(self.body)
            except ValueError:
                content = None
            if isinstance(content, dict):
                given = content.get("message") or content.get("error") or _joined(content) or message
                message = given if isinstance(given, str) else json.dumps(given)
                code = content.get("code") if isinstance(content.get("code"), str) else None
        elif "html" in self.headers.get("content-type", ""):
            message = ""  # a proxy's page
        error = error_of(self.status, message, code=code, request_id=request_id_of(self.headers))
        if isinstance(error, DaytonaNotFoundError):
            error.by_daytona = _is_daytonas(content)
        return error


def _is_daytonas(content: object) -> bool:
    """Return whether the body of a 404 is Daytona's own, and not that of a proxy."""
    return isinstance(content, dict) and (
        content.get("statusCode") == HTTPStatus.NOT_FOUND or isinstance(content.get("code"), str)
    )


def _joined(content: dict[str, Any]) -> str:
    """Return the reasons in the refusal of an upload, which has one for each file; "" in other refusals."""
    reasons = content.get("errors")
    return "; ".join(map(str, reasons)) if isinstance(reasons, list) else ""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for some seconds. The outcome is None."""

    seconds: float


T = TypeVar("T")
Step = Request | Sleep
Exchange = Generator[Step, Any, T]
