"""The exceptions, under the names of Daytona's own SDK.

    DaytonaError
    ├── DaytonaBadRequestError                 400; DaytonaValidationError is the same class
    ├── DaytonaAuthenticationError             401
    ├── DaytonaForbiddenError                  403; DaytonaAuthorizationError is the same class
    ├── DaytonaNotFoundError                   404
    │   └── DaytonaFileNotFoundError
    ├── DaytonaConflictError                   409
    ├── DaytonaGoneError                       410
    │   ├── DaytonaSessionEndedError           the session's shell has exited
    │   └── DaytonaCommandAlreadyCompletedError
    ├── DaytonaUnprocessableEntityError        422
    ├── DaytonaRateLimitError                  429
    ├── DaytonaInternalServerError             500
    ├── DaytonaBadGatewayError                 502
    ├── DaytonaServiceUnavailableError         503
    ├── DaytonaTimeoutError                    408, 504, and the client's own waiting
    │   └── DaytonaProcessExecutionTimeoutError  the sandbox ended the command
    ├── DaytonaConnectionError                 no answer
    │   └── DaytonaConnectionTimeoutError      (also a DaytonaTimeoutError)
    ├── EmbeddedServerError                    the embedded server did not start
    ├── MagicUsageError                        a magic was called with wrong arguments
    ├── CommandFailedError                     a shell command ended with a status other than 0
    ├── FileTransferError                      files could not be copied
    ├── LocalCodeError                         code of %%local failed, or was refused
    └── InterpreterError                       the persistent interpreter of a sandbox
        ├── InterpreterStartError              the sandbox cannot run one
        ├── InterpreterDiedError               it ended; a fresh one is being started
        ├── CellUnstartedError                 an interrupt came before the interpreter had started
        ├── InterpreterLostError               it is out of reach for good
        └── InterpreterReplacedError           the kernel has moved to another one

`error_of` turns an answer of Daytona into one of them. Errors of httpx and websockets are turned
where they arise, in `client.transport`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class DaytonaError(Exception):
    """What went wrong between this program and Daytona.

    message: one sentence for a person.
    status_code: the HTTP status; None when there was no answer.
    code: Daytona's machine-readable code, as "NOT_FOUND"; None where it gave none.
    request_id: what to quote to Daytona's support; None where it gave none.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.code = code
        self.request_id = request_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, status_code={self.status_code}, code={self.code!r})"


class DaytonaBadRequestError(DaytonaError):
    """The request was malformed."""


class DaytonaAuthenticationError(DaytonaError):
    """The API key is missing, or Daytona refused it."""


class DaytonaForbiddenError(DaytonaError):
    """The key is valid and does not allow this."""


class DaytonaNotFoundError(DaytonaError):
    """There is no such sandbox, session, command or route."""


class DaytonaFileNotFoundError(DaytonaNotFoundError):
    """There is no such file in the sandbox."""


class DaytonaConflictError(DaytonaError):
    """The name is taken, or the state does not allow it."""


class DaytonaGoneError(DaytonaError):
    """It existed and will not come back."""


class DaytonaSessionEndedError(DaytonaGoneError):
    """The shell of the session has exited: delete the session, and create a new one."""


class DaytonaCommandAlreadyCompletedError(DaytonaGoneError):
    """The command has ended and takes no input any more."""


class DaytonaUnprocessableEntityError(DaytonaError):
    """The request was understood and makes no sense."""


class DaytonaRateLimitError(DaytonaError):
    """Too many requests."""


class DaytonaInternalServerError(DaytonaError):
    """Daytona failed."""


class DaytonaBadGatewayError(DaytonaError):
    """Something between this program and the sandbox failed."""


class DaytonaServiceUnavailableError(DaytonaError):
    """Daytona takes no requests at the moment."""


class DaytonaTimeoutError(DaytonaError):
    """It took longer than the time given.

    sandbox_id: the sandbox that `create` had made when its time was over; None otherwise.
    """

    sandbox_id: str | None = None


class DaytonaProcessExecutionTimeoutError(DaytonaTimeoutError):
    """The sandbox ended the command because its `timeout` was over; what it printed is lost."""


class DaytonaConnectionError(DaytonaError):
    """No answer came: the server is not there, or the connection broke.

    may_have_arrived: whether the request can have reached the server all the same.
    permanent: whether another attempt would fare no better.
    """

    def __init__(self, message: str, *, may_have_arrived: bool = False, permanent: bool = False) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived
        self.permanent = permanent


class DaytonaConnectionTimeoutError(DaytonaConnectionError, DaytonaTimeoutError):
    """No answer came in the time that the client waits (`request_timeout`)."""


class EmbeddedServerError(DaytonaError):
    """The embedded server did not start; the message says why."""


class MagicUsageError(DaytonaError):
    """A magic was called with arguments that it does not take; nothing was run."""


class CommandFailedError(DaytonaError):
    """A shell command ended with a status other than 0; what it printed is above."""


class FileTransferError(DaytonaError):
    """Files could not be copied between this machine and the sandbox; the message says why."""


class LocalCodeError(DaytonaError):
    """Code that ran on the notebook's own machine failed, or was refused.

    ename: the name of the exception that it raised, or of this one. traceback: the lines that show
    where, None when nothing ran.
    """

    def __init__(self, message: str, *, ename: str | None = None, traceback: list[str] | None = None) -> None:
        super().__init__(message)
        self.ename = ename or type(self).__name__
        self.traceback = traceback


class InterpreterError(DaytonaError):
    """The persistent interpreter in the sandbox."""


class InterpreterStartError(InterpreterError):
    """The sandbox cannot run an interpreter; the message says why."""


class InterpreterDiedError(InterpreterError):
    """The interpreter ended, and its variables with it; a fresh one is being started."""


class CellUnstartedError(InterpreterError):
    """An interrupt came while the interpreter was still starting; nothing of the cell has run."""


class InterpreterLostError(InterpreterError):
    """The interpreter is out of reach for good."""


class InterpreterReplacedError(InterpreterError):
    """The kernel does without this interpreter from now on; what waited for it goes to the next one."""


DaytonaValidationError = DaytonaBadRequestError
DaytonaAuthorizationError = DaytonaForbiddenError

# The one table from (status, code) to exception. A code is looked up first, a bare status next.
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

# Toolboxes that answer an untyped 500 tell what it is only in words; the sentence is ours.
_UNTYPED_500: dict[str, tuple[type[DaytonaError], str]] = {
    "session not found": (DaytonaNotFoundError, "not found: session not found"),
    "broken pipe": (
        DaytonaSessionEndedError,
        "The shell of this session has ended; delete the session and create it again.",
    ),
    "failed to open input pipe": (
        DaytonaCommandAlreadyCompletedError,
        "The command has ended and takes no input any more.",
    ),
}


def error_of(
    status: int, message: str, *, code: str | None = None, request_id: str | None = None
) -> DaytonaError:
    """Return the exception for an answer with this status.

    message: Daytona's own words; empty where the answer had no body.
    """
    kind = _BY_STATUS_AND_CODE.get((status, code)) or _BY_STATUS_AND_CODE.get((status, None), DaytonaError)
    if status == 500 and code is None:
        for words, (untyped, sentence) in _UNTYPED_500.items():
            if words in message:
                kind, message = untyped, sentence
                break
    if status == 401:
        said = f" ({message})" if message else ""
        message = f"Daytona refused the API key{said}. Check DAYTONA_API_KEY and DAYTONA_API_URL."
    if kind is DaytonaProcessExecutionTimeoutError:
        message = "The command took longer than its timeout and was ended; what it had printed is lost."
    return kind(
        message or f"Daytona answered {status} without saying why.",
        status_code=status,
        code=code,
        request_id=request_id,
    )


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Return the id by which Daytona, or the proxy before it, knows a request, or None.

    headers: with their names in lower case.
    """
    for name in ("x-request-id", "x-daytona-request-id", "x-amzn-trace-id", "cf-ray"):
        if name in headers:
            return headers[name]
    return None
