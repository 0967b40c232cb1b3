"""Following a log: the stream is a hint, GET is the truth. No I/O.

Everything goes by position: a byte's place in the raw log, markers included. The websocket replays
the log from its first byte each time it is opened; what was had before is skipped. When it closes,
fails, or is silent, the command is asked for its exit code and then the whole log is read, in this
order: a log that is read after the exit code is known is complete.

A stream may also, in its middle, begin again. So a frame that begins as the log began is checked
against GET before it is believed. Where it was right, the log repeats itself, and only twice as
many equal bytes will look suspicious again.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ..errors import (
    DaytonaBadGatewayError,
    DaytonaConnectionError,
    DaytonaError,
    DaytonaRateLimitError,
    DaytonaServiceUnavailableError,
)
from ..wire.logs import LogChunk, LogDemultiplexer, decode_end
from .exchange import Request, Response, Sleep
from .exchange import Step as CallStep
from .operations.sessions import get_session_command, is_json, logs_request

FIRST_QUIET, LONGEST_QUIET = 2.0, 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
# A silent command's log is read again and again, at this rate on average at most.
_BYTES_A_SECOND = 1_000_000
_HEAD = 1 << 16
_PASSING = (
    DaytonaConnectionError,
    DaytonaRateLimitError,
    DaytonaBadGatewayError,
    DaytonaServiceUnavailableError,
)


class Source(Enum):
    """Where a log comes from."""

    STREAM = "websocket"
    BODY = "GET"


@dataclass(frozen=True, slots=True)
class Open:
    """Open a source, in the place of an earlier one. Answered with the head of the response."""

    source: Source
    request: Request


@dataclass(frozen=True, slots=True)
class Receive:
    """Receive a piece: answered with bytes, with None when none came in time, with b"" at a body's end.

    A stream's end, whatever it is, is answered with `Ended`; a body that breaks raises
    DaytonaConnectionError.
    """

    source: Source
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The stream has closed, with this reason; "" where it gave none."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Close:
    """Close a source."""

    source: Source


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand over chunks of the log."""

    chunks: list[LogChunk]


Step = CallStep | Open | Receive | Close | Deliver
Protocol = Generator[Step, Any, None]


class FollowProtocol:
    """One command's log from an offset on, up to the command's end.

    offset: position in the raw log up to which chunks were handed over.
    exit_code: the command's, once it is known.
    patience: seconds of nothing but failures after which the last of them is raised.
    """

    def __init__(self, session_id: str, command_id: str, offset: int = 0, patience: float = 300.0) -> None:
        self.exit_code: int | None = None
        self._ids = (session_id, command_id)
        self._patience = patience
        self._start = offset
        self._fed = 0
        self._head = bytearray()
        self._believed = 0
        self._demultiplexer = LogDemultiplexer()

    @property
    def offset(self) -> int:
        return max(self._start, self._fed)

    def run(self) -> Protocol:
        """Yield what is to be done, until the command has ended and its log is complete.

        Raises DaytonaNotFoundError when there is no such command, or no longer.
        """
        pause = FIRST_PAUSE
        while True:
            before = self._fed
            if not (yield from self._read_stream()):
                yield from self._persist(self._ask)
                yield from self._persist(self._read_log)
            if self.exit_code is not None:
                yield Deliver(self._demultiplexer.finish())
                return
            pause = FIRST_PAUSE if self._fed > before else min(pause * 2, LONGEST_PAUSE)
            yield Sleep(pause)

    def _read_stream(self) -> Generator[Step, Any, bool]:
        """Take the stream until it closes, or is not to be believed.

        Returns whether the command has ended and its log is complete, which only the embedded
        server's stream can tell.
        """
        try:
            yield Open(Source.STREAM, replace(logs_request(*self._ids), query={"follow": "true"}))
        except DaytonaError:
            return False  # GET will tell why, or do without it
        ended = yield from self._take_stream()
        yield Close(Source.STREAM)
        end = decode_end(ended.reason)
        if end is None or end[1] != self._fed:
            return False
        self.exit_code = end[0]
        return True

    def _take_stream(self) -> Generator[Step, Any, Ended]:
        position = 0
        quiet = FIRST_QUIET
        while True:
            piece = yield Receive(Source.STREAM, quiet)
            if piece is None:
                behind = position < self._fed
                yield from self._persist(self._ask)
                if behind or self.exit_code is not None:
                    return Ended()
                yield from self._persist(self._read_log)
                quiet = max(min(quiet * 2, LONGEST_QUIET), self._fed / _BYTES_A_SECOND)
                continue
            if isinstance(piece, Ended):
                return piece
            quiet = FIRST_QUIET
            if position and self._looks_replayed(piece, position):
                check = _Comparison(position, piece)
                yield from self._persist(lambda check=check: self._read_log(check))
                if not check.equal:
                    return Ended()
                self._believed = 2 * min(len(piece), len(self._head), position)
            yield from self._take(piece, position)
            position += len(piece)

    def _looks_replayed(self, piece: bytes, position: int) -> bool:
        length = min(len(piece), len(self._head), position)
        if length < self._believed:
            return False
        return piece.startswith(self._head[: min(length, 64)]) and piece.startswith(self._head[:length])

    def _ask(self) -> Generator[CallStep, Any, None]:
        self.exit_code = (yield from get_session_command(*self._ids)).exit_code

    def _read_log(self, check: _Comparison | None = None) -> Protocol:
        """Read the log by GET and take what is new in it."""
        position = check.position if check else self._fed
        request = logs_request(*self._ids)
        if position:
            # A server that knows no ranges answers with the whole log.
            request = replace(request, headers={**request.headers, "Range": f"bytes={position}-"})
        try:
            head: Response = yield Open(Source.BODY, request)
        except DaytonaError as error:
            if error.status_code == 416:
                return  # nothing new
            raise
        if head.status != 206:
            position = 0
            if check is None and self._fed and head.headers.get("content-length") == str(self._fed):
                yield Close(Source.BODY)
                return
        body = yield from self._read_json() if is_json(head) else ()
        while True:
            piece = body or (yield Receive(Source.BODY))
            if not piece:
                break
            if check is not None:
                check.feed(piece, position)
            yield from self._take(piece, position)
            position += len(piece)
            if body:
                break
        yield Close(Source.BODY)

    def _read_json(self) -> Generator[Step, Any, bytes]:
        parts: list[bytes] = []
        while piece := (yield Receive(Source.BODY)):
            parts.append(piece)
        content = Response(200, {}, b"".join(parts)).json()
        return (content.get("output") or "").encode() if isinstance(content, dict) else b"".join(parts)

    def _take(self, piece: bytes, position: int) -> Protocol:
        """Hand over what is new in a piece that stands at this position."""
        if position < self._fed:
            piece = piece[self._fed - position :]
        if not piece:
            return
        if len(self._head) < _HEAD:
            self._head += piece[: _HEAD - len(self._head)]
        if self._fed < self._start:
            # What comes before the offset is fed too: it says which stream goes on there.
            known, piece = piece[: self._start - self._fed], piece[self._start - self._fed :]
            self._demultiplexer.feed(known)
            self._fed += len(known)
        chunks = self._demultiplexer.feed(piece)
        self._fed += len(piece)
        if chunks:
            yield Deliver(chunks)

    def _persist(self, exchange: Any) -> Protocol:
        """Do an exchange, again while it fails in a way that may pass."""
        pause, waited = FIRST_PAUSE, 0.0
        while True:
            try:
                yield from exchange()
            except _PASSING as error:
                permanent = isinstance(error, DaytonaConnectionError) and error.permanent
                if permanent or waited >= self._patience:
                    raise
            else:
                return
            yield Sleep(pause)
            waited += pause
            pause = min(pause * 2, LONGEST_PAUSE)


class _Comparison:
    """Whether a piece stands at a position of the log, as the log is read."""

    def __init__(self, position: int, piece: bytes) -> None:
        self.position = position
        self._piece = piece
        self._equal_bytes = 0
        self._differs = False

    @property
    def equal(self) -> bool:
        return not self._differs and self._equal_bytes == len(self._piece)

    def feed(self, truth: bytes, position: int) -> None:
        """Compare what of the log stands at `position`."""
        start = max(position, self.position)
        end = min(position + len(truth), self.position + len(self._piece))
        if start >= end:
            return
        expected = self._piece[start - self.position : end - self.position]
        self._differs = self._differs or truth[start - position : end - position] != expected
        self._equal_bytes += end - start
