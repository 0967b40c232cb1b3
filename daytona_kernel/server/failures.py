"""Refusals of requests, in the words of Daytona's toolbox.

Every refusal is an `ApiError`. These functions make one:

    bad_request   400 BAD_REQUEST
    bad_body      400 INVALID_REQUEST_BODY
    not_found     404 NOT_FOUND
    timed_out     408 REQUEST_TIMEOUT
    conflict      409 CONFLICT
    gone          410 GONE
    too_many      429 TOO_MANY_REQUESTS: a bound of this server, which Daytona does not have
    untyped       500 without a code: the toolbox's answer to an error that it has no type for

Clients match on the prefix of a message, so each function adds the toolbox's own.
"""

from __future__ import annotations


class ApiError(Exception):
    """A refusal: an HTTP status, a message for the person, and a code. The code `None` means untyped.

    With `empty`, the answer has no body, as in some of the toolbox's handlers.
    """

    def __init__(self, status: int, message: str, code: str | None, *, empty: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.empty = empty


def bad_request(message: str) -> ApiError:
    """Return the refusal of a request whose content is wrong."""
    return ApiError(400, f"bad request: {message}", "BAD_REQUEST")


def bad_body(message: str) -> ApiError:
    """Return the refusal of a request whose body cannot be read."""
    return ApiError(400, f"invalid request body: {message}", "INVALID_REQUEST_BODY")


def not_found(message: str) -> ApiError:
    """Return the refusal of a request about something that does not exist."""
    return ApiError(404, f"not found: {message}", "NOT_FOUND")


def timed_out(message: str) -> ApiError:
    """Return the failure of a request whose timeout has passed."""
    return ApiError(408, f"request timeout: {message}", "REQUEST_TIMEOUT")


def conflict(message: str) -> ApiError:
    """Return the refusal of a request for a name that is taken."""
    return ApiError(409, f"conflict: {message}", "CONFLICT")


def gone(message: str) -> ApiError:
    """Return the refusal of a request about something that has ended."""
    return ApiError(410, f"gone: {message}", "GONE")


def too_many(what: str, limit: int) -> ApiError:
    """Return the refusal of one more of `what`, a plural noun, where there are `limit` already."""
    return ApiError(
        429, f"too many {what}: this server holds at most {limit}; delete one first", "TOO_MANY_REQUESTS"
    )


def untyped(message: str) -> ApiError:
    """Return a failure without a code."""
    return ApiError(500, message, None)
