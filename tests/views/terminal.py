"""A simple model of a log: it reads one character at a time, without limits, and is slow.

`LogBuffer` has to show the same lines, within its limits, however its input is cut.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from daytona_kernel.views.line_editor import Line
from daytona_kernel.views.sgr import PLAIN, Style, apply_sgr
from daytona_kernel.wire.logs import LogChunk, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

Cell = tuple[str, Style]
_BLANK: Cell = (" ", PLAIN[Stream.STDOUT])


class Terminal:
    """The lines of a log, the last one unfinished."""

    def __init__(self, width: int) -> None:
        self.lines: list[list[Cell]] = [[]]
        self.column = 0
        # Text may go beyond it, but a control sequence moves the cursor only within it.
        self.width = width
        self.parsers = {stream: _Parser(self, stream) for stream in Stream}

    def feed(self, chunks: Iterable[LogChunk]) -> None:
        for chunk in chunks:
            self.parsers[chunk.stream].feed(chunk.data)

    def finish(self) -> None:
        for parser in self.parsers.values():
            parser.finish()

    def put(self, character: str, style: Style) -> None:
        line = self.lines[-1]
        line += [_BLANK] * (self.column + 1 - len(line))
        line[self.column] = (character, style)
        self.column += 1

    def newline(self) -> None:
        self.lines.append([])
        self.column = 0

    def edit(self, final: str, parameters: str) -> None:
        count = int(parameters) if parameters else 0
        line = self.lines[-1]
        if final == "C":
            self.column = min(self.column + max(count, 1), self.width)
        elif final == "D":
            self.column = max(self.column - max(count, 1), 0)
        elif final == "G":
            self.column = min(max(count, 1), self.width) - 1
        elif final == "K" and count == 0:
            del line[self.column :]
        elif final == "K" and count == 1:
            for index in range(min(self.column + 1, len(line))):
                line[index] = _BLANK
        elif final == "K" and count == 2:
            line.clear()


class _Parser:
    """One stream of the log. `held` is a control sequence that has not ended."""

    def __init__(self, terminal: Terminal, stream: Stream) -> None:
        self.terminal = terminal
        self.style = PLAIN[stream]
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.held = ""

    def feed(self, data: bytes) -> None:
        for character in self.decoder.decode(data):
            self.take(character)

    def finish(self) -> None:
        for character in self.decoder.decode(b"", final=True):
            self.take(character)
        self.give_up("")

    def take(self, character: str) -> None:
        if self.held:
            self.continue_sequence(character)
        elif character == "\x1b":
            self.held = character
        elif character == "\n":
            self.terminal.newline()
        elif character == "\r":
            self.terminal.column = 0
        elif character == "\b":
            self.terminal.column = max(self.terminal.column - 1, 0)
        elif character == "\t" or (character >= " " and character != "\x7f"):
            self.terminal.put(character, self.style)

    def continue_sequence(self, character: str) -> None:
        sequence = self.held + character
        if re.fullmatch(r"\x1b\[[0-?]*[ -/]*[@-~]", sequence):
            self.held = ""
            self.obey(sequence)
        elif re.fullmatch(r"\x1b([\]PX^_][^\x00-\x1f\x7f]*(\x07|\x1b\\)|[ -/]*[0-OQ-WYZ\\`-~])", sequence):
            self.held = ""
        elif re.fullmatch(r"\x1b(\[[0-?]*[ -/]*|[\]PX^_][^\x00-\x1f\x7f]*\x1b?|[ -/]*)", sequence):
            self.held = sequence
        else:
            self.give_up(character)

    def obey(self, sequence: str) -> None:
        parameters, final = sequence[2:-1], sequence[-1]
        if final == "m" and re.fullmatch("[0-9;:]*", parameters):
            self.style = apply_sgr(self.style, parameters)
        elif re.fullmatch("[0-9]*", parameters):
            self.terminal.edit(final, parameters)

    def give_up(self, character: str) -> None:
        """Treat the held text as text, since it is not a sequence. Its introducer is dropped."""
        introducer = 2 if self.held[1:2] in {"[", "]", "P", "X", "^", "_"} else 1
        rest, self.held = self.held[introducer:], ""
        for again in rest + character:
            self.take(again)


def show(line: list[Cell], limit: int) -> Line:
    """Return a line of the model as `LogBuffer` returns it, with at most `limit` characters."""
    runs: list[tuple[int, Style]] = []
    for _, style in line[:limit]:
        if runs and runs[-1][1] == style:
            runs[-1] = (runs[-1][0] + 1, style)
        else:
            runs.append((1, style))
    if [style for _, style in runs] == [PLAIN[Stream.STDOUT]]:
        runs = []
    text = "".join(character for character, _ in line[:limit])
    return Line(text, tuple(runs), max(0, len(line) - limit))
