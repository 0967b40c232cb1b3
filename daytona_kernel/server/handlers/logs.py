"""The routes of logs: what a command has printed until now, or as it grows."""

from __future__ import annotations

import asyncio
import re

from ...wire.logs import END_HEADER, encode_end
from .. import limits
from .log_answers import LogShape, answer_log_as_json, log_pieces, shape_for
from .request import SocketHandler
from .sessions import find_command

_RANGE = re.compile(r"bytes=(\d{1,18})-")


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
