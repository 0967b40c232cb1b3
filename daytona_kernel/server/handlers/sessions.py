"""The sessions' routes, and the shapes that their answers take for SDKs of different ages."""

from __future__ import annotations

import codecs
import json
import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from ...wire.logs import LogDemultiplexer, Stream, encode_end, split_log
from .. import failures, limits
from .process import text
from .request import SocketHandler, ToolboxHandler, field

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tornado.httputil import HTTPHeaders

    from ..toolbox.log import CommandLog
    from ..toolbox.sessions import Command, Session

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")
_RANGE = re.compile(r"bytes=(\d+)-")
_RESERVED = "entrypoint"
_WHOLE_BYTES = limits.MIB  # a log up to this is answered in one piece


class LogShape(Enum):
    """How a log is answered: plain text, text with markers, or markers and both streams."""

    PLAIN = "plain"
    MARKED = "marked"
    SPLIT = "split"


def shape_for(headers: HTTPHeaders) -> LogShape:
    """Return what the client that sent `headers` understands, by its SDK's version."""
    version = headers.get("X-Daytona-SDK-Version", "")
    if not version:
        return LogShape.MARKED if headers.get("X-Daytona-Split-Output") == "true" else LogShape.PLAIN
    if "dev" in version:
        return LogShape.SPLIT
    numbers = _VERSION.match(version)
    if numbers is None:
        return LogShape.MARKED
    major, minor, _ = (int(number or 0) for number in numbers.groups())
    if (major, minor) >= (0, 167):
        return LogShape.SPLIT
    return LogShape.MARKED if (major, minor) >= (0, 27) else LogShape.PLAIN


def describe_command(command: Command) -> dict[str, Any]:
    about: dict[str, Any] = {"id": command.id, "command": command.command}
    if command.exit_code is not None:
        about["exitCode"] = command.exit_code
    return about


def describe_session(session: Session) -> dict[str, Any]:
    return {
        "sessionId": session.id,
        "commands": [describe_command(command) for command in session.commands.values()],
    }


class SessionsHandler(ToolboxHandler):
    def get(self) -> None:
        self.answer([describe_session(session) for session in self.sandbox.sessions.values()])

    async def post(self) -> None:
        session_id = self.json_body(failures.bad_body).get("sessionId")
        if not isinstance(session_id, str) or not session_id:
            raise failures.bad_body("sessionId is required")
        if session_id == _RESERVED:
            raise failures.bad_request("can not create session with a reserved id")
        await self.sandbox.create_session(session_id)
        self.set_status(201)
        self.finish()


class EntrypointHandler(ToolboxHandler):
    """The session of a sandbox's main program; here there is none, so it has no commands."""

    def get(self) -> None:
        self.answer({"sessionId": _RESERVED, "commands": []})


class EntrypointLogsHandler(SocketHandler):
    async def get(self) -> None:
        if self.request.headers.get("Upgrade", "").lower() == "websocket":
            await self.upgrade()
        elif shape_for(self.request.headers) is LogShape.SPLIT:
            self.answer({"output": "", "stdout": "", "stderr": ""})
        else:
            self.finish()

    async def serve(self) -> None:
        self.close(1000)


class SessionHandler(ToolboxHandler):
    def get(self, session_id: str) -> None:
        self.answer(describe_session(self.sandbox.session(session_id)))

    async def delete(self, session_id: str) -> None:
        await self.sandbox.delete_session(session_id)
        self.set_status(204)
        self.finish()


class SessionExecuteHandler(ToolboxHandler):
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
            session = self.sandbox.session(session_id)
        except failures.ApiError as failure:
            raise failures.untyped(f"failed to execute command: {failure.message}") from None
        command = session.submit(text_of_command, is_async=is_async, echo=not suppress_echo)
        if is_async:
            self.answer({"cmdId": command.id}, 202)
            return
        await command.done.wait()
        shape = shape_for(self.request.headers)
        await answer_log_as_json(
            self, shape, command.log, {"cmdId": command.id, "exitCode": command.exit_code}
        )


class CommandHandler(ToolboxHandler):
    def get(self, session_id: str, command_id: str) -> None:
        self.answer(describe_command(find_command(self, session_id, command_id)))


class InputHandler(ToolboxHandler):
    async def post(self, session_id: str, command_id: str) -> None:
        data = field(self.json_body(failures.bad_body), "data", str)
        command = find_command(self, session_id, command_id)
        await self.sandbox.session(session_id).write_input(command, data)
        self.set_status(204)
        self.finish()


class LogsHandler(SocketHandler):
    """The log so far, or on a websocket all of it as it grows, until the command has ended."""

    async def get(self, session_id: str, command_id: str) -> None:
        self._command = find_command(self, session_id, command_id)
        self._followed = self._command.log
        if self.request.headers.get("Upgrade", "").lower() == "websocket":
            await self.upgrade()
            return
        shape = shape_for(self.request.headers)
        if shape is LogShape.SPLIT:
            await answer_log_as_json(self, shape, self._followed, {})
            return
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        range_from = _RANGE.fullmatch(self.request.headers.get("Range", ""))
        if shape is LogShape.MARKED and range_from is not None:
            await self._answer_from(int(range_from[1]))
            return
        async for piece in log_pieces(self._followed, shape):
            self.write(piece)
            await self.flush()
        self.finish()

    async def _answer_from(self, start: int) -> None:
        """Answer the raw log from a byte on, for a client that has what comes before."""
        size = self._followed.size
        if start >= size:
            self.set_status(416)
            self.set_header("Content-Range", f"bytes */{size}")
            self.finish()
            return
        self.set_status(206)
        self.set_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.set_header("Content-Length", str(size - start))
        left = size - start
        async for piece in self._followed.pieces(limits.FILE_CHUNK_BYTES, follow=False, start=start):
            self.write(piece[:left])
            await self.flush()
            left -= min(left, len(piece))
            if not left:
                break
        self.finish()

    async def serve(self) -> None:
        follow = self.get_query_argument("follow", "") == "true"
        sent = 0
        # Waiting for each frame to be taken is the back-pressure: a slow reader slows only itself.
        async for piece in self._followed.pieces(limits.FRAME_BYTES, follow=follow):
            await self.write_message(piece, binary=True)
            sent += len(piece)
        code = self._command.exit_code
        self.close(1000, None if code is None or not follow else encode_end(code, sent))


def find_command(handler: ToolboxHandler, session_id: str, command_id: str) -> Command:
    """Return a command. Raises `ApiError` 404 for an unknown session or command."""
    command = handler.sandbox.session(session_id).commands.get(command_id)
    if command is None:
        raise failures.not_found("command not found")
    return command


async def answer_log_as_json(
    handler: ToolboxHandler, shape: LogShape, log: CommandLog, more: dict[str, Any]
) -> None:
    """Answer `more` and the log as an object; a long log is written piece by piece, never held whole."""
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
    """Write `"key": "text"` where the text comes in pieces of UTF-8, cut anywhere."""
    decode: Callable[..., str] = codecs.getincrementaldecoder("utf-8")("replace").decode
    handler.write(f'"{key}": "')
    async for piece in pieces:
        handler.write(json.dumps(decode(piece))[1:-1])
        await handler.flush()
    handler.write(json.dumps(decode(b"", True))[1:-1] + '"')


async def log_pieces(log: CommandLog, shape: LogShape, only: Stream | None = None) -> AsyncIterator[bytes]:
    """Yield the log as it is now in pieces: with its markers, or without, maybe of one stream only."""
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
