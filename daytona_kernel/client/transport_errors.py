"""The one place that translates the errors of httpx and websockets. No exception contains a secret."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from ..errors import (
    DaytonaBadRequestError,
    DaytonaConnectionError,
    DaytonaConnectionTimeoutError,
    DaytonaError,
)
from ..known_secrets import redact_exception
from ..wait_limit import limited
from . import embedded
from .embedded_server import ENDED
from .exchange import Response

if TYPE_CHECKING:
    from collections.abc import Generator

    from websockets.exceptions import InvalidStatus

CONNECT_SECONDS = limited(20.0)

_ADVICE = "Check DAYTONA_API_URL, the network and the proxy settings."


@contextmanager
def translated(url: httpx.URL | str) -> Generator[None, None, None]:
    """Raise the exceptions of `errors` instead of httpx's. No exception contains a secret."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as exc:
        redact_exception(exc)
        raise _http_error(exc, url) from exc
    except Exception as exc:
        redact_exception(exc)
        raise


@contextmanager
def translated_handshake(url: httpx.URL) -> Generator[None, None, None]:
    """Raise the exceptions of `errors` instead of those that websockets raises while it connects."""
    from websockets.exceptions import WebSocketException

    try:
        yield
    except WebSocketException as exc:
        redact_exception(exc)
        raise DaytonaConnectionError(
            f"Cannot open a websocket to {_origin(url)} ({_reason(exc)}).", may_have_arrived=True
        ) from exc
    except OSError as exc:  # including TimeoutError
        redact_exception(exc)
        raise _unreachable(exc, url) from exc
    except Exception as exc:
        redact_exception(exc)
        raise


def refusal(exc: InvalidStatus) -> DaytonaError:
    """Return the exception for a response that is not 101, and empty the response."""
    response = exc.response
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    body = bytes(response.body or b"")
    # A server may have sent the key back, and `exc` remains as the cause.
    response.headers.clear()
    response.body = b""
    return Response(response.status_code, headers, body).error()


def _http_error(exc: Exception, url: httpx.URL | str) -> DaytonaError:
    origin = _origin(url)
    if embedded.has_ended_at(origin.partition("//")[2]):
        return DaytonaConnectionError(ENDED, permanent=True)
    if isinstance(exc, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
        return DaytonaBadRequestError(
            f"Cannot send a request to {origin} ({exc}). Check the URL, for example DAYTONA_API_URL."
        )
    if isinstance(exc, httpx.ConnectTimeout | httpx.PoolTimeout):
        return DaytonaConnectionTimeoutError(
            f"No connection to {origin} within {CONNECT_SECONDS:g} s. {_ADVICE}"
        )
    if isinstance(exc, httpx.TimeoutException):
        return DaytonaConnectionTimeoutError(
            f"The server at {origin} did not answer within the request timeout. "
            "The requested operation may still be running there.",
            may_have_arrived=True,
        )
    if isinstance(exc, httpx.ConnectError | httpx.ProxyError):
        return _unreachable(exc, url)
    return DaytonaConnectionError(
        f"The connection to {origin} broke before the answer was complete ({_reason(exc)}).",
        may_have_arrived=True,
    )


def _unreachable(exc: Exception, url: httpx.URL | str) -> DaytonaConnectionError:
    reason = _reason(exc)
    if embedded.has_ended_at(_origin(url).partition("//")[2]):
        return DaytonaConnectionError(ENDED, permanent=True)
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return DaytonaConnectionError(
            f"This machine does not trust the certificate of {_origin(url)} ({reason}). "
            "Set SSL_CERT_FILE to the certificate of the authority that signed it.",
            permanent=True,
        )
    return DaytonaConnectionError(f"No server answers at {_origin(url)} ({reason}). {_ADVICE}")


def _reason(exc: Exception) -> str:
    return str(exc) or type(exc).__name__


def _origin(url: httpx.URL | str) -> str:
    """Return the scheme, host and port of a URL, without the parts that may be private."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "that URL"
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
