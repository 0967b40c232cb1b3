"""The exceptions. Those that Daytona's SDK has too have its names.

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
    ├── DaytonaTimeoutError                    408, 504, and the client's timeouts
    │   └── DaytonaProcessExecutionTimeoutError  the sandbox ended the command
    ├── DaytonaConnectionError                 no answer
    │   └── DaytonaConnectionTimeoutError      (also a DaytonaTimeoutError)
    ├── SettingError                           a setting has a value that it cannot have
    ├── EmbeddedServerError                    the embedded server did not start
    │   └── IsolationError                     it cannot isolate sandboxes from this machine
    ├── InterpreterError                       the persistent interpreter of a sandbox
    │   ├── InterpreterStartError              the sandbox cannot run an interpreter
    │   │   └── InstallationError              its Python lacks ipykernel, and cannot get it
    │   ├── InterpreterDiedError               it ended; a fresh one is starting
    │   ├── CellUnstartedError                 an interrupt came before the interpreter had started
    │   ├── InterpreterLostError               it is gone, with its variables
    │   ├── InterpreterUnreachableError        it has been out of reach for too long
    │   │   └── InterpreterPausedError         its sandbox was paused
    │   └── InterpreterReplacedError           the kernel has moved to another interpreter
    └── KernelError                            the kernel itself, and not Daytona
        ├── MagicUsageError                    wrong arguments of a magic
        ├── CommandFailedError                 a shell command ended with a status other than 0
        ├── FileTransferError                  files could not be copied
        ├── PermissionRefusedError             code in the sandbox called what the person did not write
        └── LocalCodeError                     code of %%local failed or was refused

`client.error_responses` turns a response of Daytona into one of these exceptions. `client.transport_errors`
translates the errors of httpx and websockets.
"""

from __future__ import annotations

from .known_secrets import redact


class DaytonaError(Exception):
    """A failure between this program and Daytona; the base class of all exceptions of this package.

    message: one or two sentences for a person. A known secret in it, which a server has sent back, is masked.
    status_code: the HTTP status; None without a response.
    code: Daytona's machine-readable code, for example "NOT_FOUND"; None for none.
    request_id: the id to quote to Daytona's support; None for none.
    sandbox_id: the sandbox that `create` has created, when it fails after that; None otherwise.
    """

    sandbox_id: str | None = None

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        self.message = redact(message)
        super().__init__(self.message)
        self.status_code = status_code
        self.code = code and redact(code)
        self.request_id = request_id and redact(request_id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, status_code={self.status_code}, code={self.code!r})"


class DaytonaBadRequestError(DaytonaError):
    """The request was malformed."""


class DaytonaAuthenticationError(DaytonaError):
    """The API key is missing, or Daytona refused it."""


class DaytonaForbiddenError(DaytonaError):
    """The API key is valid but does not allow this."""


class DaytonaNotFoundError(DaytonaError):
    """The sandbox, session, command or route does not exist.

    by_daytona: whether Daytona says so. Otherwise a proxy may have answered in its place.
    """

    by_daytona = True


class DaytonaFileNotFoundError(DaytonaNotFoundError):
    """The file does not exist in the sandbox."""


class DaytonaConflictError(DaytonaError):
    """The name is taken, or the state does not allow this."""


class DaytonaGoneError(DaytonaError):
    """The session or the command existed, and has ended for good."""


class DaytonaSessionEndedError(DaytonaGoneError):
    """The session's shell has exited. Delete the session and create a new one."""


class DaytonaCommandAlreadyCompletedError(DaytonaGoneError):
    """The command has ended and takes no more input."""


class DaytonaUnprocessableEntityError(DaytonaError):
    """The request is well-formed but makes no sense."""


class DaytonaRateLimitError(DaytonaError):
    """The client sent too many requests."""


class DaytonaInternalServerError(DaytonaError):
    """Daytona failed internally."""


class DaytonaBadGatewayError(DaytonaError):
    """A proxy between this program and the sandbox failed."""


class DaytonaServiceUnavailableError(DaytonaError):
    """Daytona does not accept requests at the moment."""


class DaytonaTimeoutError(DaytonaError):
    """An operation took longer than its timeout."""


class DaytonaProcessExecutionTimeoutError(DaytonaTimeoutError):
    """The sandbox ended the command at its `timeout`. Its output is lost."""


class DaytonaConnectionError(DaytonaError):
    """No response arrived: the server is unreachable, or the connection broke.

    may_have_arrived: whether the request may have reached the server.
    permanent: whether another attempt would fail too.
    """

    def __init__(self, message: str, *, may_have_arrived: bool = False, permanent: bool = False) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived
        self.permanent = permanent


class DaytonaConnectionTimeoutError(DaytonaConnectionError, DaytonaTimeoutError):
    """No response arrived within the request timeout, or no connection was made in time."""


class SettingError(DaytonaError):
    """A setting has a value that it cannot have, or two settings exclude each other."""


class EmbeddedServerError(DaytonaError):
    """The embedded server did not start. The message gives the reason."""


class IsolationError(EmbeddedServerError):
    """The embedded server cannot isolate sandboxes from this machine, so it has started none.

    by_machine: whether that stays so until something is installed or set. Otherwise the next try may succeed.
    """

    def __init__(self, message: str, *, by_machine: bool = True) -> None:
        super().__init__(message)
        self.by_machine = by_machine


class InterpreterError(DaytonaError):
    """A failure of the persistent interpreter in the sandbox."""


class InterpreterStartError(InterpreterError):
    """The sandbox cannot run an interpreter. The message gives the reason."""


class InstallationError(InterpreterStartError):
    """The sandbox's Python has no ipykernel, and it could not be installed. The message gives the reason."""


class InterpreterDiedError(InterpreterError):
    """The interpreter ended, and its variables are lost. A fresh one is starting."""


class CellUnstartedError(InterpreterError):
    """An interrupt came while the interpreter was starting. The cell did not run."""


class InterpreterLostError(InterpreterError):
    """The interpreter is gone, or it can no longer be used. Its variables are lost."""


class InterpreterUnreachableError(InterpreterError):
    """The interpreter has been out of reach for too long. It may still run, with its variables."""


class InterpreterPausedError(InterpreterUnreachableError):
    """The sandbox was paused. Its interpreter goes on, with its variables, when the sandbox is resumed."""


class InterpreterReplacedError(InterpreterError):
    """The kernel has given up this interpreter. Requests that wait for it go to the next one."""


class KernelError(DaytonaError):
    """A failure in the kernel itself: wrong arguments, a failing command, a failing copy, local code."""


class MagicUsageError(KernelError):
    """A magic got wrong arguments. It did nothing."""


class CommandFailedError(KernelError):
    """A shell command ended with a status other than 0. The cell shows its output."""


class FileTransferError(KernelError):
    """Files could not be copied between this machine and the sandbox. The message gives the reason."""


class PermissionRefusedError(KernelError):
    """Code in the sandbox called a magic that reaches further than the sandbox. Nothing was done.

    The cell does not have that call in its own text, and no person allowed it.
    """


class LocalCodeError(KernelError):
    """Code on the notebook's own machine failed or was refused.

    ename: the name of the exception that the code raised; None for this class's name.
    traceback: the lines of the traceback; None if nothing ran.
    """

    def __init__(self, message: str, *, ename: str | None = None, traceback: list[str] | None = None) -> None:
        super().__init__(message)
        self.ename = ename or type(self).__name__
        self.traceback = traceback


DaytonaValidationError = DaytonaBadRequestError
DaytonaAuthorizationError = DaytonaForbiddenError
