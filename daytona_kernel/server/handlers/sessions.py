"""The routes of sessions. The JSON of a log depends on the version of the client's SDK."""

from __future__ import annotations

import asyncio
import codecs
import json
import re
import time
from enum import Enum
from typing import TYPE_CHECKING, Any

from ...wire.logs import END_HEADER, LogDemultiplexer, Stream, encode_end, split_log
from .. import failures, limits
from .fields import field
from .process import text
from .request import SocketHandler, ToolboxHandler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tornado.httputil import HTTPHeaders

    from ..toolbox.log import CommandLog
    from ..toolbox.profile import Profile
    from ..toolbox.session import Session, SessionCommand

_VERSION = re.compile(r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?")
_RANGE = re.compile(r"bytes=(\d{1,18})-")
_FIRST_MARKED = (0, 27)
_FIRST_SPLIT = (0, 167)
_RESERVED = "entrypoint"
_WHOLE_BYTES = limits.MIB  # the server answers with a log up to this size in one piece


class LogShape(Enum):
    """The three forms of a log: plain text, text with markers, or markers and each stream by itself."""

    PLAIN = "plain"
    MARKED = "marked"
    SPLIT = "split"


def shape_for(headers: HTTPHeaders) -> LogShape:
    """Return the shape that the client understands, from the version of its SDK in `headers`."""
    version = headers.get("X-Daytona-SDK-Version", "")
    if not version:
        return LogShape.MARKED if headers.get("X-Daytona-Split-Output") == "true" else LogShape.PLAIN
    if "dev" in version:
        return LogShape.SPLIT
    numbers = _VERSION.match(version)
    if numbers is None:
        return LogShape.MARKED
    major, minor, _ = (int(number or 0) for number in numbers.groups())
    if (major, minor) >= _FIRST_SPLIT:
        return LogShape.SPLIT
    return LogShape.MARKED if (major, minor) >= _FIRST_MARKED else LogShape.PLAIN


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


class EntrypointLogsHandler(SocketHandler):
    """The log of a sandbox's main program. It is empty."""

    async def get(self) -> None:
        if self.is_upgrade():
            await self.upgrade()
        elif shape_for(self.request.headers) is LogShape.SPLIT:
            self.answer({"output": "", "stdout": "", "stderr": ""})
        else:
            self.finish()

    async def serve(self) -> None:
        self.close(1000)


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


class LogsHandler(SocketHandler):
    """The log of a command: its present state, or on a websocket its growth until the command ends."""

    async def get(self, session_id: str, command_id: str) -> None:
        self._command = find_command(self, session_id, command_id)
        self._command_log = self._command.log
        if self.is_upgrade():
            if self.sandbox.profile.tells_end:
                self.set_header(END_HEADER, "told")
            await self.upgrade()
            return
        shape = shape_for(self.request.headers)
        if shape is LogShape.SPLIT:
            await answer_log_as_json(self, shape, self._command_log, {})
            return
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        range_from = _RANGE.fullmatch(self.request.headers.get("Range", ""))
        if shape is LogShape.MARKED and range_from is not None and self.sandbox.profile.has_ranges:
            await self._answer_from(int(range_from[1]))
            return
        async for piece in log_pieces(self._command_log, shape):
            self.write(piece)
            await self.flush()
        self.finish()

    async def _answer_from(self, start: int) -> None:
        """Answer with the raw log from byte `start` on, for a client that has the bytes before it."""
        size = self._command_log.size
        if start >= size:
            self.set_status(416)
            self.set_header("Content-Range", f"bytes */{size}")
            self.finish()
            return
        self.set_status(206)
        self.set_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.set_header("Content-Length", str(size - start))
        rest = size - start
        async for piece in self._command_log.pieces(limits.FILE_CHUNK_BYTES, follow=False, start=start):
            self.write(piece[:rest])
            await self.flush()
            rest -= min(rest, len(piece))
            if not rest:
                break
        self.finish()

    async def serve(self) -> None:
        follow = self.get_query_argument("follow", "") == "true"
        profile = self.sandbox.profile
        sent = 0
        # `write_message` waits for the client, so a slow client slows only its own websocket.
        async for piece in self._command_log.pieces(profile.frame_bytes, follow=follow):
            await self.write_message(piece, binary=True)
            sent += len(piece)
        code = self._command.exit_code
        tells_end = follow and profile.tells_end
        await asyncio.sleep(profile.close_seconds)
        self.close(1000, encode_end(code, sent) if tells_end and code is not None else None)


def find_command(handler: ToolboxHandler, session_id: str, command_id: str) -> SessionCommand:
    """Return a command. Raises `ApiError` 404 for an unknown session or command."""
    command = handler.sandbox.sessions.get(session_id).commands.get(command_id)
    if command is None:
        raise failures.not_found("command not found")
    return command


async def answer_log_as_json(
    handler: ToolboxHandler, shape: LogShape, log: CommandLog, more: dict[str, Any]
) -> None:
    """Answer with an object of `more` and the log. A long log is sent in pieces, to save memory."""
    if log.size <= _WHOLE_BYTES:
        marked = log.read()
        stdout, stderr = split_log(marked)
        answer: dict[str, Any] = dict(more)
        if shape is LogShape.SPLIT:
            answer |= {"output": text(marked), "stdout": text(stdout), "stderr": text(stderr)}
        elif shape is LogShape.MARKED:
            answer |= {"output": text(marked), "stdout": None, "stderr": None}
        else:
            plain = b"".join([piece async for piece in log_pieces(log, LogShape.PLAIN)])
            answer |= {"output": text(plain), "stdout": None, "stderr": None}
        handler.answer(answer)
        return
    handler.set_header("Content-Type", "application/json; charset=utf-8")
    handler.write("{" + "".join(f"{json.dumps(key)}: {json.dumps(value)}, " for key, value in more.items()))
    output = LogShape.PLAIN if shape is LogShape.PLAIN else LogShape.MARKED
    await write_json_text(handler, "output", log_pieces(log, output))
    for stream in Stream:
        handler.write(", ")
        if shape is LogShape.SPLIT:
            await write_json_text(handler, stream.value, log_pieces(log, shape, stream))
        else:
            handler.write(f'"{stream.value}": null')
    handler.finish("}")


async def write_json_text(handler: ToolboxHandler, key: str, pieces: AsyncIterator[bytes]) -> None:
    """Write `"key": "text"`. The text comes in pieces of UTF-8, which may end inside a character."""
    decode: Callable[..., str] = codecs.getincrementaldecoder("utf-8")("replace").decode
    handler.write(f'"{key}": "')
    async for piece in pieces:
        handler.write(json.dumps(decode(piece))[1:-1])
        await handler.flush()
    handler.write(json.dumps(decode(b"", final=True))[1:-1] + '"')


async def log_pieces(log: CommandLog, shape: LogShape, only: Stream | None = None) -> AsyncIterator[bytes]:
    """Yield the present log in pieces, with markers if `shape` is `MARKED`, else without.

    `only` selects one stream; `None` means both.
    """
    demultiplexer = LogDemultiplexer()
    async for piece in log.pieces(limits.FILE_CHUNK_BYTES, follow=False):
        if shape is LogShape.MARKED:
            yield piece
            continue
        for chunk in demultiplexer.feed(piece):
            if only is None or chunk.stream is only:
                yield chunk.data
    for chunk in demultiplexer.finish():
        if only is None or chunk.stream is only:
            yield chunk.data
