"""The last lines of a log, in bounded memory, however much is printed.

`feed` only decodes and collects. From a full block it drops the lines that cannot stay. The collected
text is settled into lines when a caller looks at them, so the cost depends on the lines that are kept
and read, and not on the amount of output. Finished lines never change, and their numbers count from the
first line of the log, so a reader of new lines has to remember only one number.
"""

from __future__ import annotations

import codecs
from collections import deque
from dataclasses import dataclass
from itertools import islice

from ..wire.logs import LogChunk, Stream
from .line_editor import Line, LineEditor, has_control, read_line, split_unfinished
from .sgr import PLAIN, skip_line

_PIECE_COST = 64  # the cost of a collected piece beside its characters
_RUN_COST = 16  # the cost of a run of one style, in characters


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Consecutive lines of a log.

    `first` is the number of `lines[0]`, counted from 0. `unfinished` is the line after the last newline;
    it is `None` if the excerpt ends earlier. `times` has (line number, seconds since the epoch) where the
    time of arrival changes.
    """

    first: int
    lines: list[Line]
    unfinished: Line | None
    times: list[tuple[int, float]]


class LogBuffer:
    """The last lines of a log.

    max_lines, max_characters: how much is kept of the finished lines. A change of style counts as 16
        characters, since it needs as much memory.
    max_line: how many characters are kept of a line, counted from its start.
    block: how many characters are collected before they are settled. A large block keeps other threads
        waiting for longer.

    The buffer holds at most `max_characters + max_line + block` characters, and two numbers a line.
    """

    def __init__(
        self,
        *,
        max_lines: int = 5_000,
        max_characters: int = 2 << 20,
        max_line: int = 16 << 10,
        block: int = 512 << 10,
    ) -> None:
        self.max_lines = max_lines
        self.max_characters = max_characters
        self.max_line = max_line
        self._block = block
        self.byte_count = 0
        self._decoders = {
            stream: codecs.getincrementaldecoder("utf-8")(errors="replace") for stream in Stream
        }
        self._held = dict.fromkeys(Stream, "")
        self._styles = dict(PLAIN)
        self._pending: list[tuple[Stream, str]] = []
        self._pending_size = 0
        self._pending_since = 0.0
        # A plain line of stdout is kept as a str. Most lines are plain, and a str needs less memory.
        self._lines: deque[str | Line] = deque()
        self._characters = 0
        self._finished = 0
        self._editor = LineEditor(max_line)
        self._times: deque[tuple[int, float]] = deque()

    def feed(self, chunk: LogChunk, time: float = 0.0) -> None:
        """Take a piece of the log that arrived at `time`, in seconds since the epoch."""
        data = chunk.data
        self.byte_count += len(data)
        text = self._decoders[chunk.stream].decode(data)
        if not self._pending:
            self._pending_since = time
        self._pending.append((chunk.stream, text))
        self._pending_size += len(text) + _PIECE_COST
        if self._pending_size >= self._block:
            self._thin(time)

    def finish(self) -> None:
        """Note that the log has ended, so that incomplete characters and sequences become text."""
        self._settle()
        for stream, decoder in self._decoders.items():
            rest = self._held[stream] + decoder.decode(b"", final=True)
            self._held[stream] = ""
            self._styles[stream] = self._editor.write(rest, self._styles[stream])

    def shrink(self, max_lines: int, max_characters: int) -> None:
        """Lower the limits, and drop the lines beyond them."""
        self._settle()
        self.max_lines, self.max_characters = max_lines, max_characters
        self._drop()

    @property
    def line_count(self) -> int:
        """How many lines the log has so far, with an unfinished last one."""
        self._settle()
        return self._finished + self._editor.has_content

    @property
    def next_line(self) -> int:
        """The number of the line that is being written or comes next."""
        self._settle()
        return self._finished

    @property
    def first_line(self) -> int:
        """The number of the first line that is kept, which is also the count of dropped lines."""
        self._settle()
        return self._finished - len(self._lines)

    def read(
        self,
        since: int = 0,
        before: int | None = None,
        *,
        max_lines: int | None = None,
        max_characters: int | None = None,
    ) -> Excerpt:
        """Return the lines from number `since` to the end of the log, or up to number `before`.

        Of more than `max_lines` lines or about `max_characters` characters, return the last ones. `None`
        sets no limit.
        """
        self._settle()
        end = self._finished if before is None else min(before, self._finished)
        wanted = max(end - max(since, self.first_line), 0)
        if max_lines is not None:
            wanted = min(wanted, max_lines)
        room = self.max_characters if max_characters is None else max_characters
        lines: list[Line] = []
        after = self._finished - end
        for kept in islice(reversed(self._lines), after, after + wanted):
            line = _as_line(kept)
            if lines and _cost(line) > room:
                break
            room -= _cost(line)
            lines.append(line)
        lines.reverse()
        first = end - len(lines)
        unfinished = self._editor.line() if before is None else None
        return Excerpt(first, lines, unfinished, self._times_of(first, end + 1))

    def _thin(self, time: float) -> None:
        """Drop the lines of a full block that its last lines push out. If it is still large, settle it."""
        stream = self._pending[0][0]
        if all(each is stream for each, _ in self._pending):
            text = self._held[stream] + "".join(text for _, text in self._pending)
            if text.count("\n") > self.max_lines:
                self._held[stream] = ""
                text = self._skip(stream, text)
                self._pending, self._pending_size = [(stream, text)], len(text) + _PIECE_COST
                self._pending_since = time
        if self._pending_size > self._block // 2:
            self._settle()

    def _settle(self) -> None:
        if not self._pending:
            return
        pending, self._pending, self._pending_size = self._pending, [], 0
        self._note_time(self._pending_since)
        index = 0
        while index < len(pending):
            stream = pending[index][0]
            end = index + 1
            while end < len(pending) and pending[end][0] is stream:
                end += 1
            self._write(stream, "".join(text for _, text in pending[index:end]))
            index = end

    def _write(self, stream: Stream, text: str) -> None:
        if text.isprintable() and not self._held[stream]:
            self._editor.put(text, self._styles[stream])
            return
        text = self._held[stream] + text
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        text, self._held[stream] = split_unfinished(text)
        if text.count("\n") > self.max_lines:
            text = self._skip(stream, text)
        *finished, rest = text.split("\n")
        if finished:
            self._styles[stream] = self._editor.write(finished[0], self._styles[stream])
            self._append([self._editor.line()])
            self._editor.clear()
            self._append(self._read_lines(stream, finished[1:], has_control(text)))
            self._drop()
        self._styles[stream] = self._editor.write(rest, self._styles[stream])

    def _skip(self, stream: Stream, text: str) -> str:
        """Drop all lines that are kept, and the lines of `text` that cannot stay; return the rest of it."""
        skipped = text.rsplit("\n", self.max_lines + 1)[0] + "\n"
        self._styles[stream] = skip_line(skipped, self._styles[stream])
        self._finished += skipped.count("\n")
        self._editor.clear()
        self._lines.clear()
        self._characters = 0
        return text[len(skipped) :]

    def _read_lines(self, stream: Stream, texts: list[str], controls: bool) -> list[str | Line]:
        style = self._styles[stream]
        if (
            not controls
            and style == PLAIN[Stream.STDOUT]
            and max(map(len, texts), default=0) <= self.max_line
        ):
            return list(texts)
        lines: list[str | Line] = []
        for text in texts:
            if len(text) <= self.max_line and (read := read_line(text, style)):
                line, style = read
            else:
                style = self._editor.write(text, style)
                line = self._editor.line()
                self._editor.clear()
            lines.append(line if line.runs or line.cut else line.text)
        self._styles[stream] = style
        return lines

    def _append(self, lines: list[str | Line] | list[Line]) -> None:
        self._lines.extend(lines)
        self._finished += len(lines)
        self._characters += sum(map(_cost, lines))

    def _drop(self) -> None:
        lines = self._lines
        while len(lines) > self.max_lines or self._characters > self.max_characters:
            self._characters -= _cost(lines.popleft())
        first = self._finished - len(lines)
        while len(self._times) > 1 and self._times[1][0] <= first:
            self._times.popleft()

    def _note_time(self, time: float) -> None:
        """Note that lines from here on arrived at `time`. An unfinished line keeps its earlier time."""
        line = self._finished + self._editor.has_content
        if self._times and self._times[-1][0] == line:
            self._times.pop()
        self._times.append((line, time))

    def _times_of(self, first: int, end: int) -> list[tuple[int, float]]:
        marks = [mark for mark in self._times if first < mark[0] < end]
        earlier = [time for line, time in self._times if line <= first]
        return [(first, earlier[-1]), *marks] if earlier else marks


def _as_line(line: str | Line) -> Line:
    return Line(line) if isinstance(line, str) else line


def _cost(line: str | Line) -> int:
    return len(line) if isinstance(line, str) else len(line.text) + _RUN_COST * len(line.runs)
