"""Sending a request, and repeating it where that is safe. `operations.table` says where."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ..errors import DaytonaConnectionError, DaytonaConnectionTimeoutError, DaytonaError
from .exchange import Request, Response, Sleep, Step
from .operations.table import Operation, Repeat

if TYPE_CHECKING:
    from collections.abc import Generator

ATTEMPTS = 5
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 8.0
_LONGEST_RETRY_AFTER = 60.0
_BUSY = (429, 502, 503, 504)


def send(request: Request) -> Generator[Step, Any, Response]:
    """Send a request and return its 2xx response.

    Raises the exception for another status, or the connection's error, after the last attempt.
    """
    may_be_done = False  # whether an earlier attempt may have been carried out without an answer
    for attempt in range(1, ATTEMPTS + 1):
        if request.sink is not None:
            request.sink.reset()
        retry_after: str | None = None
        try:
            response: Response = yield request
        except DaytonaConnectionError as error:
            failure: DaytonaError = error
            repeatable = _repeatable_without_answer(request.operation, error)
            may_be_done = may_be_done or error.may_have_arrived
        else:
            if response.ok:
                return response
            deleting = request.operation.method == "DELETE"
            if response.status == HTTPStatus.NOT_FOUND and may_be_done and deleting:
                return response  # the earlier attempt has deleted it
            failure = response.error()
            repeatable = _repeatable_after(request.operation, response.status)
            retry_after = response.headers.get("retry-after")
            may_be_done = may_be_done or response.status in (502, 504)
        pause = pause_before(attempt, retry_after)
        if not repeatable or attempt == ATTEMPTS or pause is None:
            raise failure
        yield Sleep(pause)
    raise AssertionError("unreachable: the last attempt returns or raises")


def pause_before(attempt: int, retry_after: str | None = None) -> float | None:
    """Return the seconds to wait after an attempt (1 is the first); None if the server asks for too many.

    retry_after: the value of the response's header, in seconds or as a date. It overrides the usual pause.
    """
    if retry_after is not None and (wanted := _seconds(retry_after)) is not None:
        return wanted if wanted <= _LONGEST_RETRY_AFTER else None
    pause: float = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
    return pause * random.uniform(0.75, 1.25)  # noqa: S311 -- spreads many clients, hides nothing


def _repeatable_without_answer(operation: Operation, error: DaytonaConnectionError) -> bool:
    if not error.may_have_arrived or error.permanent:
        return not error.permanent
    # A request timeout has used up the time that the caller allows.
    return operation.repeat is Repeat.ALWAYS and not isinstance(error, DaytonaConnectionTimeoutError)


def _repeatable_after(operation: Operation, status: int) -> bool:
    rejected = status == HTTPStatus.TOO_MANY_REQUESTS
    return rejected or (status in _BUSY and operation.repeat is Repeat.ALWAYS)


def _seconds(retry_after: str) -> float | None:
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        date: float = parsedate_to_datetime(retry_after).timestamp()
        return max(0.0, date - time.time())
    except ValueError:
        return None
