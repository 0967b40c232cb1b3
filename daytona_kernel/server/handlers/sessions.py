"""The routes of sessions and of their commands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .. import failures
from .fields import field
from .log_answers import answer_log_as_json, shape_for
from .request import ToolboxHandler

if TYPE_CHECKING:
    from ..toolbox.profile import Profile
    from ..toolbox.session import Session, SessionCommand

_RESERVED = "entrypoint"


def describe_command(command: SessionCommand, profile: Profile) -> dict[str, Any]:
    """Return `command` in the API's JSON. Raises `ApiError` while its exit code cannot be read."""
    if command.exit_code is not None and time.monotonic() - command.ended_at < profile.unreadable_seconds:
        raise failures.untyped('failed to convert exit code to int: strconv.Atoi: parsing "": invalid syntax')
    about: dict[str, Any] = {"id": command.id, "command": command.command}
    if command.exit_code is not None:
        about["exitCode"] = command.exit_code
    return about


def describe_session(session: Session, profile: Profile) -> dict[str, Any]:
    """Return `session` in the API's JSON. Raises `ApiError` while an exit code cannot be read."""
    return {
        "sessionId": session.id,
        "commands": [
            describe_command(command, profile) for command in profile.listed(session.commands.values())
        ],
    }


class SessionsHandler(ToolboxHandler):
    """Lists the sessions, or creates one."""

    def get(self) -> None:
        sessions = self.sandbox.sessions.all()
        self.answer([describe_session(session, self.sandbox.profile) for session in sessions])

    async def post(self) -> None:
        session_id = self.json_body(failures.bad_body).get("sessionId")
        if not isinstance(session_id, str) or not session_id:
            raise failures.bad_body("sessionId is required")
        if session_id == _RESERVED:
            raise failures.bad_request("can not create session with a reserved id")
        await self.sandbox.sessions.create(session_id)
        self.set_status(201)
        self.finish()


class EntrypointHandler(ToolboxHandler):
    """The session of a sandbox's main program. These sandboxes have none, so there are no commands."""

    def get(self) -> None:
        self.answer({"sessionId": _RESERVED, "commands": []})


class SessionHandler(ToolboxHandler):
    """One session."""

    def get(self, session_id: str) -> None:
        self.answer(describe_session(self.sandbox.sessions.get(session_id), self.sandbox.profile))

    async def delete(self, session_id: str) -> None:
        await self.sandbox.sessions.delete(session_id)
        self.set_status(204)
        self.finish()


class SessionExecuteHandler(ToolboxHandler):
    """Runs a command in a session. If it is synchronous, the answer comes at its end and has its log."""

    async def post(self, session_id: str) -> None:
        try:
            body = self.json_body()
            text_of_command = field(body, "command", str)
            is_async = field(body, "runAsync", bool, False) or field(body, "async", bool, False)
            suppress_echo = field(body, "suppressInputEcho", bool, False)
        except failures.ApiError as failure:
            failure.empty = True
            raise
        if not text_of_command.strip():
            raise failures.ApiError(400, "", None, empty=True)
        try:
            session = self.sandbox.sessions.get(session_id)
        except failures.ApiError as failure:
            raise failures.untyped(f"failed to execute command: {failure.message}") from None
        command = session.submit(text_of_command, is_async=is_async, echo=not suppress_echo)
        if is_async:
            self.answer({"cmdId": command.id}, 202)
            return
        await command.done.wait()
        shape = shape_for(self.request.headers)
        about = {"cmdId": command.id, "exitCode": command.exit_code}
        await answer_log_as_json(self, shape, command.log, about)


class CommandHandler(ToolboxHandler):
    """One command of a session."""

    def get(self, session_id: str, command_id: str) -> None:
        command = find_command(self, session_id, command_id)
        self.answer(describe_command(command, self.sandbox.profile))


class InputHandler(ToolboxHandler):
    """Writes to the stdin of a command."""

    async def post(self, session_id: str, command_id: str) -> None:
        data = field(self.json_body(failures.bad_body), "data", str)
        command = find_command(self, session_id, command_id)
        await self.sandbox.sessions.get(session_id).write_input(command, data)
        self.set_status(204)
        self.finish()


def find_command(handler: ToolboxHandler, session_id: str, command_id: str) -> SessionCommand:
    """Return a command. Raises `ApiError` 404 for an unknown session or command."""
    command = handler.sandbox.sessions.get(session_id).commands.get(command_id)
    if command is None:
        raise failures.not_found("command not found")
    return command
