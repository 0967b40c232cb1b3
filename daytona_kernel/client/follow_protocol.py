"""The protocol that follows a log, without I/O: the stream is a hint, GET is the truth.

A position is a byte's place in the raw log, markers included. Each websocket replays the log from
its first byte; the protocol skips the bytes that it already has. When the stream closes, fails or
stays silent, the protocol first asks for the command's exit code and then reads the log by GET. The
order matters: a log that is read after the exit code is known is complete.

Daytona closes a stream a second after the command's end. So the protocol asks for the exit code as soon
as the stream is silent for a moment, and then less and less often. The embedded server closes at once.

A stream may also start over in its middle. So the protocol compares a frame that starts like the
log with GET before it takes the frame. If the frame is right, the log repeats itself, and from then
on only a match of twice the length is compared again.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ..errors import (
    DaytonaBadGatewayError,
    DaytonaConnectionError,
    DaytonaError,
    DaytonaRateLimitError,
    DaytonaServiceUnavailableError,
)
from ..wire.logs import END_HEADER, LogDemultiplexer, decode_end
from .exchange import Response, Sleep
from .exchange import Step as ApiStep
from .follow_steps import Close, Deliver, Ended, FollowTimings, Open, Receive, Source, Step, Steps
from .operations.sessions import get_session_command, is_json, logs_request

if TYPE_CHECKING:
    from collections.abc import Generator

# The log of a silent command is read repeatedly, at most at this average rate.
_BYTES_A_SECOND = 1_000_000
_HEAD = 1 << 16
# While a stream is silent, each next question about the exit code waits for this part of the silence.
_PART_OF_SILENCE = 0.02
_TEMPORARY = (
    DaytonaConnectionError,
    DaytonaRateLimitError,
    DaytonaBadGatewayError,
    DaytonaServiceUnavailableError,
)


class FollowProtocol:
    """The steps that follow one command's log from an offset to the command's end.

    offset: the position in the raw log to start at.
    exit_code: the command's exit code; None until it is known.
    given_up: set it if the command will get no exit code. The protocol then ends when the stream is silent.
    """

    def __init__(
        self, session_id: str, command_id: str, offset: int = 0, timings: FollowTimings | None = None
    ) -> None:
        self.exit_code: int | None = None
        self.given_up = False
        self._ids = (session_id, command_id)
        self._timings = timings or FollowTimings()
        self._start = offset
        self._fed = 0
        self._head = bytearray()
        self._believed = 0
        self._demultiplexer = LogDemultiplexer()

    @property
    def offset(self) -> int:
        """The position in the raw log after the delivered chunks."""
        return max(self._start, self._fed)

    def run(self) -> Steps:
        """Yield the steps until the command has ended and its log is complete.

        Raises DaytonaNotFoundError if the command does not exist, or no longer exists.
        """
        pause = self._timings.first_pause
        while True:
            before = self._fed
            if not (yield from self._read_stream()):
                if self.exit_code is None:
                    yield from self._persist(self._read_exit_code)
                yield from self._persist(self._read_log)
            if self.exit_code is not None or self.given_up:
                yield Deliver(self._demultiplexer.finish())
                return
            if self._fed > before:
                pause = self._timings.first_pause
            else:
                pause = min(pause * 2, self._timings.longest_pause)
            yield Sleep(pause)

    def _read_stream(self) -> Generator[Step, Any, bool]:
        """Take the stream until it closes or becomes unreliable.

        Returns whether the command has ended and its log is complete. Only the embedded server says
        so in its close frame.
        """
        try:
            opened = yield Open(Source.STREAM, replace(logs_request(*self._ids), query={"follow": "true"}))
        except DaytonaError:
            return False  # GET finds out why, or works without the stream
        ended = yield from self._take_stream(closes_at_once=END_HEADER.lower() in opened.headers)
        yield Close(Source.STREAM)
        end = decode_end(ended.reason)
        if end is None or end[1] != self._fed:
            return False
        self.exit_code = end[0]
        return True

    def _take_stream(self, *, closes_at_once: bool) -> Generator[Step, Any, Ended]:
        position = 0
        quiet = self._timings.first_quiet
        silent = unchecked = 0.0  # seconds without a piece; and of those, since the log was read
        while True:
            wait = quiet - unchecked
            if not closes_at_once:
                wait = min(wait, max(self._timings.first_question, silent * _PART_OF_SILENCE))
            piece = yield Receive(Source.STREAM, wait)
            if piece is None:
                silent += wait
                unchecked += wait
                is_due = unchecked >= quiet
                is_behind = is_due and position < self._fed
                yield from self._persist(self._read_exit_code)
                if is_behind or self.given_up or self.exit_code is not None:
                    return Ended()
                if is_due:
                    yield from self._persist(self._read_log)
                    quiet = max(min(quiet * 2, self._timings.longest_quiet), self._fed / _BYTES_A_SECOND)
                    unchecked = 0.0
                continue
            if isinstance(piece, Ended):
                return piece
            quiet = self._timings.first_quiet
            silent = unchecked = 0.0
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

    def _read_exit_code(self) -> Generator[ApiStep, Any, None]:
        self.exit_code = (yield from get_session_command(*self._ids)).exit_code

    def _read_log(self, check: _Comparison | None = None) -> Steps:
        """Read the log by GET and take its new bytes."""
        position = check.position if check else self._fed
        request = logs_request(*self._ids)
        if position:
            # A server without support for ranges answers with the whole log.
            request = replace(request, headers={**request.headers, "Range": f"bytes={position}-"})
        try:
            head: Response = yield Open(Source.BODY, request)
        except DaytonaError as error:
            if error.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # nothing new
            raise
        if head.status != HTTPStatus.PARTIAL_CONTENT:
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

    def _take(self, piece: bytes, position: int) -> Steps:
        """Deliver the new bytes of a piece at a position."""
        if position < self._fed:
            piece = piece[self._fed - position :]
        if not piece:
            return
        if len(self._head) < _HEAD:
            self._head += piece[: _HEAD - len(self._head)]
        if self._fed < self._start:
            # The bytes before the offset are fed too: they decide which stream continues there.
            known, piece = piece[: self._start - self._fed], piece[self._start - self._fed :]
            self._demultiplexer.feed(known)
            self._fed += len(known)
        chunks = self._demultiplexer.feed(piece)
        self._fed += len(piece)
        if chunks:
            yield Deliver(chunks)

    def _persist(self, exchange: Any) -> Steps:
        """Carry out an exchange, and repeat it while its failure may be temporary."""
        pause, waited = self._timings.first_pause, 0.0
        while True:
            try:
                yield from exchange()
            except _TEMPORARY as error:
                permanent = isinstance(error, DaytonaConnectionError) and error.permanent
                if permanent or waited >= self._timings.give_up:
                    raise
            else:
                return
            yield Sleep(pause)
            waited += pause
            pause = min(pause * 2, self._timings.longest_pause)


class _Comparison:
    """A comparison of a piece from the stream with the same place of the log, as GET reads it."""

    def __init__(self, position: int, piece: bytes) -> None:
        self.position = position
        self._piece = piece
        self._equal_bytes = 0
        self._differs = False

    @property
    def equal(self) -> bool:
        """Whether the log contains the whole piece at its position."""
        return not self._differs and self._equal_bytes == len(self._piece)

    def feed(self, truth: bytes, position: int) -> None:
        """Compare the bytes of the log at `position`."""
        start = max(position, self.position)
        end = min(position + len(truth), self.position + len(self._piece))
        if start >= end:
            return
        expected = self._piece[start - self.position : end - self.position]
        self._differs = self._differs or truth[start - position : end - position] != expected
        self._equal_bytes += end - start
