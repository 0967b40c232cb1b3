"""The responses of Daytona that are not 2xx, as exceptions."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from ..errors import (
    DaytonaAuthenticationError,
    DaytonaBadGatewayError,
    DaytonaBadRequestError,
    DaytonaCommandAlreadyCompletedError,
    DaytonaConflictError,
    DaytonaError,
    DaytonaFileNotFoundError,
    DaytonaForbiddenError,
    DaytonaGoneError,
    DaytonaInternalServerError,
    DaytonaNotFoundError,
    DaytonaProcessExecutionTimeoutError,
    DaytonaRateLimitError,
    DaytonaServiceUnavailableError,
    DaytonaSessionEndedError,
    DaytonaTimeoutError,
    DaytonaUnprocessableEntityError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# The exception for a status and a code. A status without the code in the table has the row with None.
_BY_STATUS_AND_CODE: dict[tuple[int, str | None], type[DaytonaError]] = {
    (400, None): DaytonaBadRequestError,
    (401, None): DaytonaAuthenticationError,
    (403, None): DaytonaForbiddenError,
    (404, None): DaytonaNotFoundError,
    (404, "FILE_NOT_FOUND"): DaytonaFileNotFoundError,
    (408, None): DaytonaTimeoutError,
    (408, "REQUEST_TIMEOUT"): DaytonaProcessExecutionTimeoutError,
    (408, "PROCESS_EXECUTION_TIMEOUT"): DaytonaProcessExecutionTimeoutError,
    (409, None): DaytonaConflictError,
    (410, None): DaytonaGoneError,
    (410, "GONE"): DaytonaCommandAlreadyCompletedError,
    (410, "SESSION_ENDED"): DaytonaSessionEndedError,
    (410, "COMMAND_ALREADY_COMPLETED"): DaytonaCommandAlreadyCompletedError,
    (422, None): DaytonaUnprocessableEntityError,
    (429, None): DaytonaRateLimitError,
    (500, None): DaytonaInternalServerError,
    (502, None): DaytonaBadGatewayError,
    (503, None): DaytonaServiceUnavailableError,
    (504, None): DaytonaTimeoutError,
}

# Some toolboxes answer 500 without a code. The words of their message choose an exception and a message.
_UNTYPED_500: dict[str, tuple[type[DaytonaError], str]] = {
    "session not found": (DaytonaNotFoundError, "not found: session not found"),
    "broken pipe": (
        DaytonaSessionEndedError,
        "The session's shell has ended. Delete the session and create it again.",
    ),
    "failed to open input pipe": (
        DaytonaCommandAlreadyCompletedError,
        "The command has ended and takes no more input.",
    ),
}

_NO_REASON = "Daytona answered with status {status} and no reason."
# The toolbox refuses file operations without a word, or with the words of the system.
_OF_FILES: dict[int, tuple[type[DaytonaError], str]] = {
    400: (DaytonaBadRequestError, "The sandbox refused this operation on {path}, and gave no reason."),
    403: (DaytonaForbiddenError, "The sandbox's user may not do this with {path}."),
    404: (DaytonaFileNotFoundError, "There is no {path} in the sandbox."),
    409: (DaytonaConflictError, "There is already something else at {path} in the sandbox."),
}
_OF_UPLOADS: dict[str, type[DaytonaError]] = {
    "no such file": DaytonaFileNotFoundError,
    "permission denied": DaytonaForbiddenError,
    "not permitted": DaytonaForbiddenError,
    "read-only file system": DaytonaForbiddenError,
}


def error_of(
    status: int, message: str, *, code: str | None = None, request_id: str | None = None
) -> DaytonaError:
    """Return the exception for a response with a status that is not 2xx.

    message: Daytona's message; "" for a response without one.
    """
    kind = _BY_STATUS_AND_CODE.get((status, code)) or _BY_STATUS_AND_CODE.get((status, None), DaytonaError)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR and code is None:
        for words, (untyped, sentence) in _UNTYPED_500.items():
            if words in message:
                kind, message = untyped, sentence
                break
    if status == HTTPStatus.UNAUTHORIZED:
        reason = f" ({message})" if message else ""
        message = (
            f"Daytona refused the API key{reason}. Check DAYTONA_API_KEY and DAYTONA_API_URL; "
            "a key that is only for Daytona's API v2 does not work."
        )
    if kind is DaytonaProcessExecutionTimeoutError:
        message = "The command exceeded its timeout and was ended. Its output is lost."
    return kind(
        message or _NO_REASON.format(status=status),
        status_code=status,
        code=code,
        request_id=request_id,
    )


def file_error_of(error: DaytonaError, path: str) -> DaytonaError:
    """Return the exception for an operation on a file that raised `error`, with what Daytona left out.

    path: the file, or what else the operation was on.
    """
    status = error.status_code
    if status is None or error.code is not None:
        return error
    kind, message = _OF_FILES.get(status, (None, ""))
    if kind is not None and error.message == _NO_REASON.format(status=status):
        return kind(message.format(path=path), status_code=status, request_id=error.request_id)
    for words, of_upload in _OF_UPLOADS.items():
        if status == HTTPStatus.BAD_REQUEST and words in error.message:
            return of_upload(error.message, status_code=status, request_id=error.request_id)
    return error


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Return the id that Daytona or a proxy gave a request; None for none.

    headers: the response's headers, with names in lower case.
    """
    for name in ("x-request-id", "x-daytona-request-id", "x-amzn-trace-id", "cf-ray"):
        if name in headers:
            return headers[name]
    return None
