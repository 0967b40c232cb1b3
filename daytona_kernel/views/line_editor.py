r"""Terminal output on one line: its text, its styles, and what it overwrites.

A log is not a screen. Colors and attributes (SGR) become styles. `\r`, `\b` and the sequences that move
or erase within a line edit that line. All other sequences (titles, links, cursor addressing, bells) are
dropped. No sequence crosses a newline, so of all earlier lines only the style matters for the next line.
"""

# ruff: noqa: PLR2004  (the numbers are terminal codes, which have no better names)

from __future__ import annotations

import re
from itertools import groupby
from typing import NamedTuple

from .sgr import SGR, Style, apply_sgr, skip_line

_UNSTYLED = Style()
# A terminal stops the cursor at its last column. Here that is the end of the text, or this column. Otherwise
# ten bytes could make a line as long as it may be.
_LAST_COLUMN = 255


class Line(NamedTuple):
    """One line. `runs` are (length, style) and cover `text`; without runs it is plain stdout.

    `cut` counts the characters at the end that were not kept, since the line is too long.
    """

    text: str
    runs: tuple[tuple[int, Style], ...] = ()
    cut: int = 0


# A text and the column where it was written, or an erasure: all columns below the first number, and all
# from the second on.
_Written = tuple[int, str, Style]
_Erased = tuple[int, int]

# The lengths are bounded, so that a sequence without an end becomes text at some point.
_STRING = r"\x1b[\]PX^_][^\x00-\x1f\x7f]{0,4096}"
_TOKEN = re.compile(
    r"((?:[^\x00-\x1f\x7f]\x08)+)|([\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]+)"
    r"|\x1b\[([0-?]{0,64}[ -/]{0,8})([@-~])"
    rf"|{_STRING}(?:\x07|\x1b\\)"
    r"|\x1b[ -/]{0,8}[0-~]"
    r"|\x1b+(?=\x1b)|\x1b"
)
_UNFINISHED = re.compile(rf"(?:\x1b\[[0-?]{{0,64}}[ -/]{{0,8}}|{_STRING}\x1b?|\x1b[ -/]{{0,8}})\Z")
_INERT = re.compile(r"[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def has_control(text: str) -> bool:
    """Return whether `text` has control characters other than tabs and newlines."""
    return _CONTROL.search(text) is not None


def split_unfinished(text: str) -> tuple[str, str]:
    """Split off a control sequence at the end of `text` that later text can complete."""
    last = text.rfind("\x1b")
    if last < 0:
        return text, ""
    # A final ESC can be the start of the terminator of a string that an earlier ESC started.
    starts = [text.rfind("\x1b", 0, last), last] if last == len(text) - 1 else [last]
    for start in starts:
        if start >= 0 and _UNFINISHED.match(text, start):
            return text[:start], text[start:]
    return text, ""


def read_line(text: str, style: Style) -> tuple[Line, Style] | None:
    """Return a line without controls other than colors, and the style after it; `None` for other lines."""
    parts = SGR.split(text)
    bare = "".join(parts[::2])
    if _CONTROL.search(bare):
        return None
    runs: list[tuple[int, Style]] = []
    for index in range(0, len(parts), 2):
        if length := len(parts[index]):
            if runs and runs[-1][1] == style:
                length += runs.pop()[0]
            runs.append((length, style))
        if index + 1 < len(parts):
            style = apply_sgr(style, parts[index + 1])
    return Line(bare, _plain_as_none(tuple(runs))), style


def drop_overwritten(text: str) -> str:
    r"""Return `text`, which has no newline, without the parts that a later part overwrites.

    A part is the text between two `\r`. A dropped part leaves its colors.
    """
    first, *parts = text.split("\r")
    bare = text if "\x1b" not in text else SGR.sub("", text)
    if len(parts) < 2 or _CONTROL.search(bare.replace("\r", "")):
        return text
    kept: list[str] = []
    longest = -1
    for part, length in zip(reversed(parts), map(len, reversed(bare.split("\r")[1:])), strict=True):
        if length > longest:
            kept.append(part)
            longest = length
        elif part != "" and "\x1b" in part:
            kept.append("".join(f"\x1b[{codes}m" for codes in SGR.findall(part)))
    return "\r".join([first, *reversed(kept)])


class LineEditor:
    """The line that is being written: its characters, and the column of the next one.

    A column is one character, also if a terminal would give it two cells. Only the first `limit`
    characters are kept; the others are counted.

    A write or an erasure is only noted, in constant time. The notes are painted onto the characters when
    the line is read, or when there are many of them. A sequence that erases or skips the whole line costs
    no more than any other text, so a log cannot keep its reader busy.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.clear()

    def clear(self) -> None:
        """Start an empty line."""
        self._column = 0
        self._empty()

    def _empty(self) -> None:
        self._end = 0
        self._noted = 0
        self._characters: list[str] = []
        self._styles: list[Style] = []
        self._notes: list[_Written | _Erased] = []

    @property
    def has_content(self) -> bool:
        """Whether the line has any characters."""
        return self._end > 0

    def line(self) -> Line:
        """Return the line so far."""
        self._paint()
        runs = tuple((len(list(run)), style) for style, run in groupby(self._styles))
        cut = self._end - len(self._characters)
        return Line("".join(self._characters), _plain_as_none(runs), cut)

    def write(self, text: str, style: Style) -> Style:
        """Write `text`, which has no newline, starting with `style`; return the style after it."""
        if not has_control(text):
            self.put(text, style)
            return style
        if "\r" in text:
            text = drop_overwritten(text)
        elif self._column >= self._limit and not _CONTROL.search(bare := SGR.sub("", text)):
            self.put(bare, style)  # beyond the limit, so it is only counted
            return skip_line(text, style)
        return self._write_controlled(_INERT.sub("", text) if "\x1b" not in text else text, style)

    def put(self, text: str, style: Style) -> None:
        """Write `text`, which has no control characters."""
        if self._noted > self._limit:
            self._paint()
        if not text:
            return
        column = self._column
        self._column = end = column + len(text)
        self._end = max(self._end, end)
        if column < self._limit:
            self._notes.append((column, text[: self._limit - column], style))
            self._noted += len(text)

    def _write_controlled(self, text: str, style: Style) -> Style:
        # A log with many sequences spends its time here. So this keeps its state in local names.
        limit, notes = self._limit, self._notes
        column, last, position = self._column, self._end, 0
        for token in _TOKEN.finditer(text):
            start, end = token.span()
            if start > position:
                if column < limit:
                    notes.append((column, text[position : min(start, position + limit - column)], style))
                column += start - position
                last = max(last, column)
            position = end
            overstruck, controls, parameters, final = token.groups()
            if overstruck is not None:  # of these characters the last one stays, and the cursor is on it
                if column < limit:
                    notes.append((column, overstruck[-2], style))
                last = max(last, column + 1)
            elif controls is not None:
                column = 0 if "\r" in controls else max(column - controls.count("\b"), 0)
            elif final is not None:
                self._column, self._end = column, last
                style = self._obey(final, parameters, style)
                column, last = self._column, self._end
            if len(notes) > limit:
                self._end = last
                self._paint()
        self._column, self._end = column, last
        self._noted += position
        self.put(text[position:], style)
        return style

    def _obey(self, final: str, parameters: str, style: Style) -> Style:
        """Carry out `ESC [ parameters final`; return the style after it."""
        if final == "m":
            return apply_sgr(style, parameters)
        if parameters and not parameters.isdigit():
            return style
        count = int(parameters or "0")
        if final == "K":
            self._erase(count)
        elif final == "C":
            self._column = self._reachable(self._column + max(count, 1))
        elif final == "D":
            self._column = max(self._column - max(count, 1), 0)
        elif final == "G":
            self._column = self._reachable(min(max(count, 1), self._limit) - 1)
        return style

    def _reachable(self, column: int) -> int:
        """Return the column where a cursor ends that moves right to `column`."""
        return min(column, max(self._end, self._column, _LAST_COLUMN), self._limit)

    def _erase(self, what: int) -> None:
        """Erase to the end of the line (0), to its start (1) or all of it (2)."""
        if what == 0:
            self._notes.append((0, self._column))
            self._end = min(self._end, self._column)
        elif what == 1:
            self._notes.append((self._column + 1, self._limit))
        elif what == 2:
            self._notes.append((0, 0))
            self._end = 0

    def _paint(self) -> None:
        """Bring the characters up to date with the notes."""
        # Backwards, so that it is known which columns of each text a later erasure leaves.
        first, end = 0, self._limit
        covered = (0, 0)
        visible: list[_Written] = []
        for note in reversed(self._notes):
            if len(note) == 2:
                first, end = max(first, note[0]), min(end, note[1])
                continue
            column, text, style = note
            stop = column + len(text)
            if column < covered[0] or stop > covered[1]:
                covered = (column, stop)
                if column < first or stop > end:
                    text = text[max(first - column, 0) : max(end - column, 0)]
                    column = max(first, column)
                visible.append((column, text, style))
        self._notes.clear()
        self._noted = 0
        characters, styles = self._characters, self._styles
        del characters[end:], styles[end:]
        erased = min(first, len(characters))
        characters[:erased], styles[:erased] = " " * erased, [_UNSTYLED] * erased
        missing = min(self._end, self._limit) - len(characters)
        characters += " " * missing
        styles += [_UNSTYLED] * missing
        for column, text, style in reversed(visible):
            characters[column : column + len(text)] = text
            styles[column : column + len(text)] = [style] * len(text)


def _plain_as_none(runs: tuple[tuple[int, Style], ...]) -> tuple[tuple[int, Style], ...]:
    return () if len(runs) == 1 and runs[0][1] == _UNSTYLED else runs
