"""A time without a connection to the agent: why it lasts, and when the interpreter is given up."""

from __future__ import annotations

import time
from http import HTTPStatus

from ..errors import DaytonaError, InterpreterLostError, InterpreterUnreachableError
from ..formatting import format_duration
from ..wait_limit import limited

# Seconds until an interpreter is given up. A proxy may refuse what it will accept when it has restarted; a
# wrong key stays wrong. After half an hour without activity Daytona has stopped the sandbox anyway.
REFUSED_SECONDS = limited(120.0)
AWAY_SECONDS = limited(1800.0)
# These statuses name a fault that passes, although they are in the range of the client's own mistakes.
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


class Outage:
    """A time without a connection, from its first break until the next greeting."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._refused_since: float | None = None

    def add(self, error: Exception, *, sandbox_answers: bool) -> None:
        """Count a failed attempt.

        When the outage has lasted too long, raises InterpreterLostError if only the agent is silent, and
        otherwise InterpreterUnreachableError.
        """
        now = time.monotonic()
        if _is_refusal(error):
            self._refused_since = since = self._refused_since or now
            limit = REFUSED_SECONDS
        else:
            self._refused_since, since, limit = None, self._started, AWAY_SECONDS
        if now - since < limit:
            return
        if sandbox_answers and _is_silence(error):
            raise InterpreterLostError(
                f"The agent has not answered for {format_duration(limit)}, although its sandbox does."
            ) from error
        raise InterpreterUnreachableError(
            f"The sandbox has been out of reach for {format_duration(limit)}: {reason_of(error)} "
            "Its interpreter may still run; the next cell tries to reach it again."
        ) from error


def reason_of(error: Exception) -> str:
    """Return a sentence about the break of a connection."""
    if isinstance(error, DaytonaError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "The agent did not answer in time."
    return "The connection broke."


def _is_silence(error: Exception) -> bool:
    """Return whether an attempt has failed because no answer came."""
    timed_out = isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError)
    status = error.status_code if isinstance(error, DaytonaError) else None
    return timed_out or status == HTTPStatus.GATEWAY_TIMEOUT


def _is_refusal(error: Exception) -> bool:
    """Return whether a server has answered that it does not accept the request."""
    status = error.status_code if isinstance(error, DaytonaError) else None
    return status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING
