"""The operations on sessions, their commands and the logs of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import DaytonaError, DaytonaInternalServerError
from ..exchange import Exchange, Request, RequestTimeout, Response, Sleep, Step
from ..models.sessions import (
    Command,
    Session,
    SessionCommandLogs,
    SessionExecuteRequest,
    SessionExecuteResponse,
)
from ..retries import send
from . import table

if TYPE_CHECKING:
    from collections.abc import Generator

# Asks for the raw log: text/plain, with a marker before each piece and every byte as written.
RAW_LOGS = {"X-Daytona-Split-Output": "true"}

# Daytona's toolbox creates the file for an exit code before it writes the code. A request in between
# gets a 500.
_RACE = "failed to convert exit code to int"
_RACE_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


def create_session(session_id: str) -> Exchange[None]:
    """Create a session: a shell that keeps its directory and variables between commands.

    session_id: any name. Raises DaytonaConflictError if a session has it already.
    """
    yield from send(Request(table.CREATE_SESSION, json={"sessionId": session_id}))


def get_session(session_id: str) -> Exchange[Session]:
    """Return a session and its commands. Raises DaytonaNotFoundError if it does not exist."""
    response = yield from _read_exit_codes(Request(table.GET_SESSION, {"session_id": session_id}))
    return Session.from_json(response.json())


def list_sessions() -> Exchange[list[Session]]:
    """Return all sessions of the sandbox."""
    response = yield from _read_exit_codes(Request(table.LIST_SESSIONS))
    return [Session.from_json(session) for session in response.json() or []]


def delete_session(session_id: str) -> Exchange[None]:
    """Delete a session and end its commands. Raises DaytonaNotFoundError if it does not exist."""
    yield from send(Request(table.DELETE_SESSION, {"session_id": session_id}))


def get_session_command(session_id: str, command_id: str) -> Exchange[Command]:
    """Return a command of a session. Its `exit_code` is None while it runs.

    Raises DaytonaNotFoundError if the session or the command does not exist.
    """
    response = yield from _read_exit_codes(
        Request(table.GET_COMMAND, {"session_id": session_id, "command_id": command_id})
    )
    return Command.from_json(response.json())


def execute_session_command(
    session_id: str,
    req: SessionExecuteRequest,
    *,
    request_timeout: float | None = None,
) -> Exchange[SessionExecuteResponse]:
    """Execute a command in a session. The commands of a session run one after another.

    req: the command. With `run_async` (or `var_async`) the answer comes at once, while it runs.
    request_timeout: seconds to wait for the answer. None waits as long as the command takes, and with
        `run_async` as long as the client waits for other answers. The command continues if the client stops
        waiting.

    Raises DaytonaNotFoundError if the session does not exist, and DaytonaSessionEndedError if its
    shell has exited.
    """
    at_once = req.is_async
    body: dict[str, Any] = {"command": req.command, "runAsync": at_once}
    if req.suppress_input_echo is not None:
        body["suppressInputEcho"] = req.suppress_input_echo
    request = Request(
        table.SESSION_EXECUTE,
        {"session_id": session_id},
        headers=RAW_LOGS,
        json=body,
        request_timeout=RequestTimeout.SETTINGS
        if req.is_async and request_timeout is None
        else request_timeout,
    )
    try:
        response = yield from send(request)
    except DaytonaInternalServerError as error:
        if _RACE not in error.message:
            raise
        return (yield from _find_answer(session_id, req.command, error))
    return SessionExecuteResponse.from_json(response.json())


def get_session_command_logs(session_id: str, command_id: str) -> Exchange[SessionCommandLogs]:
    """Return the command's output so far, as one text of stdout and stderr.

    Its attributes `stdout` and `stderr` hold each stream. Raises DaytonaNotFoundError if the session
    or the command does not exist.
    """
    response = yield from send(logs_request(session_id, command_id))
    if is_json(response):
        logs = response.json()
        if isinstance(logs, dict):
            return SessionCommandLogs.from_text(
                logs.get("output") or "", logs.get("stdout"), logs.get("stderr")
            )
    return SessionCommandLogs.from_log(response.body)


def send_session_command_input(session_id: str, command_id: str, data: str) -> Exchange[None]:
    """Send input to a running asynchronous command. A newline is added if `data` does not end with one.

    Raises DaytonaCommandAlreadyCompletedError if the command has ended, and DaytonaNotFoundError if
    the session or the command does not exist.
    """
    fields = {"session_id": session_id, "command_id": command_id}
    yield from send(Request(table.SEND_INPUT, fields, json={"data": data}))


def logs_request(session_id: str, command_id: str) -> Request:
    """Return the request for a command's whole raw log."""
    return Request(table.GET_LOGS, {"session_id": session_id, "command_id": command_id}, headers=RAW_LOGS)


def is_json(response: Response) -> bool:
    """Return whether a response has the log as JSON instead of the requested raw form."""
    return "json" in response.headers.get("content-type", "")


def _read_exit_codes(request: Request) -> Generator[Step, Any, Response]:
    """Send a request whose answer contains exit codes; repeat it while one of them is being written."""
    for pause in _RACE_PAUSES:
        try:
            return (yield from send(request))
        except DaytonaInternalServerError as error:
            if _RACE not in error.message:
                raise
        yield Sleep(pause)
    return (yield from send(request))


def _find_answer(session_id: str, command: str, race: DaytonaError) -> Exchange[SessionExecuteResponse]:
    """Return the answer of a command that ran but whose exit code was lost. The command is not repeated."""
    session = yield from get_session(session_id)
    same = [candidate for candidate in session.commands if candidate.command == command]
    if len(same) != 1:
        raise DaytonaInternalServerError(
            "The command ran, but Daytona lost its exit code (a known race). It was not run again. "
            f"Use get_session({session_id!r}) to find it.",
            status_code=race.status_code,
            request_id=race.request_id,
        ) from race
    found = yield from get_session_command(session_id, same[0].id)
    logs = yield from get_session_command_logs(session_id, found.id)
    return SessionExecuteResponse(found.id, logs.output, logs.stdout, logs.stderr, found.exit_code)
