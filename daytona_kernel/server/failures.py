"""What a request can be refused with, in the words of Daytona's toolbox.

ApiError            any status, with message and code
├── bad_request       400 BAD_REQUEST
├── bad_body          400 INVALID_REQUEST_BODY
├── not_found         404 NOT_FOUND
├── conflict          409 CONFLICT
├── gone              410 GONE
├── timed_out         408 REQUEST_TIMEOUT
└── untyped           500 with no code, as the toolbox answers an error without a type
"""

from __future__ import annotations


class ApiError(Exception):
    """A refusal: an HTTP status, a message for the person, and a code, or `None` for an untyped one.

    With `empty` the status is answered with no body, as some of the toolbox's handlers do.
    """

    def __init__(self, status: int, message: str, code: str | None, *, empty: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.empty = empty


def bad_request(message: str) -> ApiError:
    return ApiError(400, f"bad request: {message}", "BAD_REQUEST")


def bad_body(message: str) -> ApiError:
    return ApiError(400, f"invalid request body: {message}", "INVALID_REQUEST_BODY")


def not_found(message: str) -> ApiError:
    return ApiError(404, f"not found: {message}", "NOT_FOUND")


def conflict(message: str) -> ApiError:
    return ApiError(409, f"conflict: {message}", "CONFLICT")


def gone(message: str) -> ApiError:
    return ApiError(410, f"gone: {message}", "GONE")


def timed_out(message: str) -> ApiError:
    return ApiError(408, f"request timeout: {message}", "REQUEST_TIMEOUT")


def untyped(message: str) -> ApiError:
    return ApiError(500, message, None)


def too_many(what: str, limit: int) -> ApiError:
    """The embedded server's own bounds: 429, and what to do."""
    return ApiError(
        429, f"too many {what}: this server holds at most {limit}; delete one first", "TOO_MANY_REQUESTS"
    )
