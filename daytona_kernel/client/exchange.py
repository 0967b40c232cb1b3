"""What is said to Daytona, where no I/O can reach it.

A call is a generator: it yields what is to be done (a `Request`, a `Sleep`), is sent what came of
it, and returns its result. `Api.run` and `AsyncApi.run` are the two drivers. An error of the
connection is thrown into the generator, so that it can decide to repeat.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..errors import DaytonaError, error_of, request_id_of

if TYPE_CHECKING:
    from .operations.table import Operation


class Patience(Enum):
    """How long to wait for an answer where the caller does not say."""

    SETTINGS = "as the settings say"
    FOREVER = "as long as it takes"


class Body(Protocol):
    """A request's body that is not held in memory. `pieces` starts again from the beginning."""

    length: int
    content_type: str

    def pieces(self) -> Iterator[bytes]: ...


class Sink(Protocol):
    """Where a large answer goes piece by piece. `begin` forgets what came before: a repeat follows."""

    def begin(self) -> None: ...

    def write(self, piece: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, relative to the API's or the toolbox's URL.

    json: the body, or None for none. body: one that is streamed.
    sink: takes the body of a 2xx answer; the `Response` is then without.
    patience: seconds to wait for each piece of the answer, None for ever.
    """

    operation: Operation
    fields: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    body: Body | None = None
    sink: Sink | None = None
    patience: float | Patience | None = Patience.SETTINGS

    @property
    def path(self) -> str:
        """The route with its fields filled in and quoted."""
        return self.operation.path(self.fields)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; `headers` has its names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the body's JSON; raises DaytonaError when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as exc:
            raise DaytonaError(
                f"Daytona answered {self.status} with something that is not JSON; is the API URL right?",
                status_code=self.status,
                request_id=request_id_of(self.headers),
            ) from exc

    def error(self) -> DaytonaError:
        """Return the exception that this answer means."""
        message, code = self.body[:2000].decode("utf-8", "replace").strip(), None
        if "json" in self.headers.get("content-type", "json"):
            try:
                content = json.loads(self.body)
            except ValueError:
                content = None
            if isinstance(content, dict):
                said = content.get("message") or content.get("error") or message
                message = said if isinstance(said, str) else json.dumps(said)
                code = content.get("code") if isinstance(content.get("code"), str) else None
        elif "html" in self.headers.get("content-type", ""):
            message = ""  # a proxy's page, not for reading
        return error_of(self.status, message, code=code, request_id=request_id_of(self.headers))


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait; it is answered with None."""

    seconds: float


T = TypeVar("T")
Step = Request | Sleep
Exchange = Generator[Step, Any, T]
