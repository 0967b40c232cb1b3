"""The encoders of a command's log: chunks of two streams in, bytes of the log out. No I/O.

The toolbox's format has a marker before each line and at each change of the stream. The output itself may
also contain the bytes of a marker, in one piece or where two pieces meet. `MarkedLog` breaks such a run with
a change of stream and back, so that a reader gets every byte back in its own stream. `LabeledLog` does as
Daytona's daemon does: it has whole lines only, and some bytes are lost.
"""

from __future__ import annotations

import re
from typing import Protocol

from ...wire.logs import MARKERS, Stream
from .. import limits

_OTHER = {Stream.STDOUT: Stream.STDERR, Stream.STDERR: Stream.STDOUT}
# The bytes that break a run, by the stream and the run's byte. The stream's own marker breaks a run of the
# other marker's bytes.
_BREAKS = {
    stream: {
        MARKERS[stream][:1]: MARKERS[_OTHER[stream]] + MARKERS[stream],
        MARKERS[_OTHER[stream]][:1]: MARKERS[stream],
    }
    for stream in Stream
}
_RUN = re.compile(rb"\x01\x01|\x02\x02")


class LogEncoder(Protocol):
    """The encoder of one log."""

    def encode(self, stream: Stream, data: bytes) -> bytes:
        """Return the bytes that `data` of `stream` adds to the log."""
        ...

    def end(self, stream: Stream) -> bytes:
        """Return the bytes that the end of `stream` adds to the log."""
        ...

    def echo(self, lines: bytes) -> bytes:
        """Return the bytes that whole lines of input add to the log."""
        ...


class MarkedLog:
    """The encoder that keeps every byte, and writes a piece of output as soon as it comes."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._last = b"\n"

    def encode(self, stream: Stream, data: bytes) -> bytes:
        """Return the bytes that `data` of `stream` adds to the log."""
        if not data:
            return b""
        marker = MARKERS[stream]
        breaks = _BREAKS[stream]
        head = b""
        if stream is not self._stream or self._last == b"\n":
            if self._stream is not None and self._last == marker[:1]:
                head = MARKERS[self._stream]  # or else that byte would look like the marker's
            head += marker
        elif self._last == data[:1] and data[:1] in breaks:
            head = breaks[data[:1]]
        last = data[-1:]
        # Most output has neither byte. A search for one byte is much faster than the expression.
        if b"\x01" in data or b"\x02" in data:
            data = _RUN.sub(lambda run: run[0] + breaks[run[0][:1]], data)
        if b"\n" in data:
            data = data.replace(b"\n", b"\n" + marker)
            if last == b"\n":
                data = data[: -len(marker)]  # the next line gets its marker when it comes
        self._stream = stream
        self._last = last
        return head + data

    def end(self, stream: Stream) -> bytes:  # noqa: ARG002  # nothing of any stream was held back
        """Return nothing: all output has been written."""
        return b""

    def echo(self, lines: bytes) -> bytes:
        """Return the input as output."""
        return self.encode(Stream.STDOUT, lines)


class LabeledLog:
    """The encoder of Daytona's daemon, whose shell reads each stream line by line.

    A line is written when it is complete. The last one gets the newline that it lacks. NUL bytes are lost.
    """

    def __init__(self) -> None:
        self._partial = {stream: bytearray() for stream in Stream}

    def encode(self, stream: Stream, data: bytes) -> bytes:
        """Return the lines that `data` of `stream` completes."""
        data = data.replace(b"\0", b"")
        partial = self._partial[stream]
        cut = data.rfind(b"\n") + 1
        if not cut and len(partial) + len(data) <= limits.PARTIAL_LINE_BYTES:
            partial += data
            return b""
        whole, partial[:] = bytes(partial) + data[: cut or None], data[cut:] if cut else b""
        return _label(stream, whole)

    def end(self, stream: Stream) -> bytes:
        """Return the last line of `stream`, with a newline."""
        partial = self._partial[stream]
        whole, partial[:] = bytes(partial), b""
        return _label(stream, whole + b"\n") if whole else b""

    def echo(self, lines: bytes) -> bytes:
        """Return the input as lines of stdout. An incomplete line of output comes later."""
        return _label(Stream.STDOUT, lines)


def _label(stream: Stream, lines: bytes) -> bytes:
    marker = MARKERS[stream]
    return marker + lines[:-1].replace(b"\n", b"\n" + marker) + lines[-1:]
