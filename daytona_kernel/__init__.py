"""A Jupyter kernel whose cells run in a Daytona sandbox, and a client of Daytona's API.

    from daytona_kernel import Daytona

    sandbox = Daytona().create()
    print(sandbox.process.exec("echo hello").result)

Each name is imported at its first use, because the kernel starts faster that way. This module imports nothing
else, not even `__future__`: with an old kernelspec, the notebook's folder is on the import path here.
"""

from ._version import __version__

TYPE_CHECKING = False  # importing typing takes milliseconds, and every program imports this module
if TYPE_CHECKING:
    from typing import Any

    from .client.daytona import AsyncDaytona, Daytona
    from .client.filesystem import AsyncFileSystem, FileSystem
    from .client.log_follower import AsyncLogFollower, LogFollower
    from .client.models.files import FileInfo, FileUpload
    from .client.models.processes import Chart, CodeRunParams, ExecuteResponse, ExecutionArtifacts
    from .client.models.sandboxes import (
        CreateSandboxFromSnapshotParams,
        CreateSandboxParams,
        ListSandboxesQuery,
        PreviewUrl,
        Resources,
        SandboxInstance,
        VolumeMount,
    )
    from .client.models.sessions import (
        Command,
        Session,
        SessionCommandLogs,
        SessionExecuteRequest,
        SessionExecuteResponse,
    )
    from .client.process import AsyncProcess, Process
    from .client.sandbox import AsyncSandbox, Sandbox
    from .client.transport import AsyncTransport, Transport
    from .config import DaytonaConfig
    from .errors import (
        DaytonaAuthenticationError,
        DaytonaAuthorizationError,
        DaytonaBadGatewayError,
        DaytonaBadRequestError,
        DaytonaCommandAlreadyCompletedError,
        DaytonaConflictError,
        DaytonaConnectionError,
        DaytonaConnectionTimeoutError,
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
        DaytonaValidationError,
        EmbeddedServerError,
        InterpreterDiedError,
        InterpreterError,
        InterpreterLostError,
        InterpreterUnreachableError,
        IsolationError,
        SettingError,
    )
    from .wire.logs import LogChunk, Stream

__all__ = [
    "AsyncDaytona",
    "AsyncFileSystem",
    "AsyncLogFollower",
    "AsyncProcess",
    "AsyncSandbox",
    "AsyncTransport",
    "Chart",
    "CodeRunParams",
    "Command",
    "CreateSandboxFromSnapshotParams",
    "CreateSandboxParams",
    "Daytona",
    "DaytonaAuthenticationError",
    "DaytonaAuthorizationError",
    "DaytonaBadGatewayError",
    "DaytonaBadRequestError",
    "DaytonaCommandAlreadyCompletedError",
    "DaytonaConfig",
    "DaytonaConflictError",
    "DaytonaConnectionError",
    "DaytonaConnectionTimeoutError",
    "DaytonaError",
    "DaytonaFileNotFoundError",
    "DaytonaForbiddenError",
    "DaytonaGoneError",
    "DaytonaInternalServerError",
    "DaytonaNotFoundError",
    "DaytonaProcessExecutionTimeoutError",
    "DaytonaRateLimitError",
    "DaytonaServiceUnavailableError",
    "DaytonaSessionEndedError",
    "DaytonaTimeoutError",
    "DaytonaUnprocessableEntityError",
    "DaytonaValidationError",
    "EmbeddedServerError",
    "ExecuteResponse",
    "ExecutionArtifacts",
    "FileInfo",
    "FileSystem",
    "FileUpload",
    "InterpreterDiedError",
    "InterpreterError",
    "InterpreterLostError",
    "InterpreterUnreachableError",
    "IsolationError",
    "ListSandboxesQuery",
    "LogChunk",
    "LogFollower",
    "PreviewUrl",
    "Process",
    "Resources",
    "Sandbox",
    "SandboxInstance",
    "Session",
    "SessionCommandLogs",
    "SessionExecuteRequest",
    "SessionExecuteResponse",
    "SettingError",
    "Stream",
    "Transport",
    "VolumeMount",
    "__version__",
]

_MODULES = {
    "client.daytona": "AsyncDaytona Daytona",
    "client.filesystem": "AsyncFileSystem FileSystem",
    "client.log_follower": "AsyncLogFollower LogFollower",
    "client.models.files": "FileInfo FileUpload",
    "client.models.processes": "Chart CodeRunParams ExecuteResponse ExecutionArtifacts",
    "client.models.sandboxes": (
        "CreateSandboxFromSnapshotParams CreateSandboxParams ListSandboxesQuery PreviewUrl Resources "
        "SandboxInstance VolumeMount"
    ),
    "client.models.sessions": (
        "Command Session SessionCommandLogs SessionExecuteRequest SessionExecuteResponse"
    ),
    "client.process": "AsyncProcess Process",
    "client.sandbox": "AsyncSandbox Sandbox",
    "client.transport": "AsyncTransport Transport",
    "config": "DaytonaConfig",
    "errors": (
        "DaytonaAuthenticationError DaytonaAuthorizationError DaytonaBadGatewayError DaytonaBadRequestError "
        "DaytonaCommandAlreadyCompletedError DaytonaConflictError DaytonaConnectionError "
        "DaytonaConnectionTimeoutError DaytonaError DaytonaFileNotFoundError DaytonaForbiddenError "
        "DaytonaGoneError DaytonaInternalServerError DaytonaNotFoundError "
        "DaytonaProcessExecutionTimeoutError DaytonaRateLimitError DaytonaServiceUnavailableError "
        "DaytonaSessionEndedError DaytonaTimeoutError DaytonaUnprocessableEntityError "
        "DaytonaValidationError EmbeddedServerError InterpreterDiedError InterpreterError "
        "InterpreterLostError InterpreterUnreachableError IsolationError SettingError"
    ),
    "wire.logs": "LogChunk Stream",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> "Any":
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
