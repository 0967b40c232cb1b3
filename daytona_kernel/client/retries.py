"""Sending a request, and repeating it where that is safe; `operations` says where."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime
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
    """Send a request and return its 2xx answer.

    Raises the exception that another answer means, after the last repeat; a connection's error
    likewise.
    """
    arrived = False  # whether an earlier attempt may have been carried out, its answer lost
    for attempt in range(1, ATTEMPTS + 1):
        if request.sink is not None:
            request.sink.begin()
        retry_after: str | None = None
        try:
            response: Response = yield request
        except DaytonaConnectionError as error:
            failure: DaytonaError = error
            repeatable = _repeatable_without_answer(request.operation, error)
            arrived = arrived or error.may_have_arrived
        else:
            if response.ok:
                return response
            if response.status == 404 and arrived and request.operation.method == "DELETE":
                return response  # gone, which was the purpose
            failure = response.error()
            repeatable = _repeatable_after(request.operation, response.status)
            retry_after = response.headers.get("retry-after")
            arrived = arrived or response.status in (502, 504)
        pause = pause_before(attempt, retry_after)
        if not repeatable or attempt == ATTEMPTS or pause is None:
            raise failure
        yield Sleep(pause)
    raise AssertionError("unreachable: the last attempt returns or raises")


def pause_before(attempt: int, retry_after: str | None = None) -> float | None:
    """Return the seconds to wait after this attempt (the first is 1), or None if it asks for too long.

    retry_after: the header's value, seconds or a date; it goes before the usual pause.
    """
    if retry_after is not None and (asked := _seconds(retry_after)) is not None:
        return asked if asked <= _LONGEST_RETRY_AFTER else None
    pause: float = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
    return pause * random.uniform(0.75, 1.25)  # so that many clients do not come back at once


def _repeatable_without_answer(operation: Operation, error: DaytonaConnectionError) -> bool:
    if not error.may_have_arrived or error.permanent:
        return not error.permanent
    # Who waited as long as the caller allowed does not wait as long again.
    return operation.repeat is Repeat.ALWAYS and not isinstance(error, DaytonaConnectionTimeoutError)


def _repeatable_after(operation: Operation, status: int) -> bool:
    return status == 429 or (status in _BUSY and operation.repeat is Repeat.ALWAYS)


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
