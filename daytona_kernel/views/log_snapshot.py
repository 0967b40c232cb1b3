"""A log as it is saved in a notebook: HTML and text that need neither kernel nor script.

GitHub strips styles and nbconvert knows no JupyterLab variables, so the frame is `details` and `pre`,
which mean the same everywhere; inline styles only make it look like the live view where they may.
The palette is of middle lightness, so that each colour can be read on white and on black.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from daytona_kernel.wire.logs import Stream

if TYPE_CHECKING:
    from daytona_kernel.views.ansi import Color, Line, Style
    from daytona_kernel.views.log_buffer import Excerpt

_OPEN_LINES = 100


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above a log. `elapsed` is in seconds; `exit_code` is `None` if nobody knows it."""

    command: str
    session: str
    state: str
    exit_code: int | None
    elapsed: float
    line_count: int
    byte_count: int

    @property
    def outcome(self) -> str:
        """The state in words."""
        if self.state == "running":
            return "still running when this was saved"
        if self.state == "lost":
            return "no longer followed"
        if self.exit_code is None:
            return self.state
        return (
            f"{self.state}, exit code {self.exit_code}"
            if self.state == "stopped"
            else (f"exited {self.exit_code}")
        )

    @property
    def facts(self) -> str:
        """Everything but the command, in one line."""
        lines = f"{self.line_count:,} line{'' if self.line_count == 1 else 's'}"
        return " · ".join(
            [self.outcome, format_duration(self.elapsed), lines, format_bytes(self.byte_count), self.session]
        )


def format_duration(seconds: float) -> str:
    """Return a duration as people write it: 0.4 s, 12 s, 3:05, 1:02:03."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def format_bytes(count: int) -> str:
    """Return a size in decimal units: 512 B, 1.2 kB, 50 MB."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"


def plain_snapshot(heading: Heading, excerpt: Excerpt) -> str:
    """Return the log as text, with a first line that says what it is the log of."""
    parts = [f"$ {heading.command}  ({heading.facts})"]
    if excerpt.first:
        parts.append(_dropped(excerpt.first))
    parts += [line.text + _cut(line) for line in _all_lines(excerpt)]
    return "\n".join(parts)


def html_snapshot(heading: Heading, excerpt: Excerpt) -> str:
    """Return the log as HTML, foldable."""
    rows = [_row(line) for line in _all_lines(excerpt)]
    earlier, latest = rows[:-_OPEN_LINES], rows[-_OPEN_LINES:]
    body = f"<pre>{chr(10).join(latest)}</pre>"
    if earlier:
        body = (
            f"<details><summary>{len(earlier):,} earlier lines</summary>"
            f"<pre>{chr(10).join(earlier)}</pre></details>{body}"
        )
    if excerpt.first:
        body = f"<div><em>{_dropped(excerpt.first)}</em></div>{body}"
    return (
        f"<details open><summary><code>{escape(heading.command)}</code> "
        f"{escape(heading.facts)}</summary>{body}</details>"
    )


def _all_lines(excerpt: Excerpt) -> list[Line]:
    last = excerpt.unfinished
    return [*excerpt.lines, last] if last and (last.text or last.cut) else excerpt.lines


def _dropped(count: int) -> str:
    return f"… {count:,} earlier line{'' if count == 1 else 's'} not kept …"


def _cut(line: Line) -> str:
    return f" … {line.cut:,} more characters" if line.cut else ""


def _row(line: Line) -> str:
    parts, position = [], 0
    for length, style in line.runs:
        text = escape(line.text[position : position + length], quote=False)
        css = _css(style)
        parts.append(f'<span style="{css}">{text}</span>' if css else text)
        position += length
    parts.append(escape(line.text[position:], quote=False))
    return "".join(parts) + (f"<em>{_cut(line)}</em>" if line.cut else "")


_PALETTE = (
    *("#7a7a7a", "#d24a43", "#3f8f3f", "#a07d1c", "#4a7fd6", "#b455b4", "#218c96", "#8a8a8a"),
    *("#7a7a7a", "#e0554e", "#3a9a4a", "#a8851f", "#5a8ae0", "#c05ec0", "#22949e", "#8a8a8a"),
)


def _css(style: Style) -> str:
    fore, back = _color(style.foreground), _color(style.background)
    if style.inverse:
        fore, back = back or "#ffffff", fore or "#777777"
    elif back and not fore:
        fore = "#ffffff"
    if not fore and style.stream is Stream.STDERR:
        fore = "#c0663a"
    rules = [
        f"color:{fore}" if fore else "",
        f"background-color:{back}" if back else "",
        "font-weight:bold" if style.bold else "",
        "opacity:.65" if style.faint else "",
        "font-style:italic" if style.italic else "",
        _decoration(style),
    ]
    return ";".join(rule for rule in rules if rule)


def _decoration(style: Style) -> str:
    lines = [name for name, on in (("underline", style.underline), ("line-through", style.strike)) if on]
    return f"text-decoration:{' '.join(lines)}" if lines else ""


def _color(color: Color | None) -> str:
    if color is None:
        return ""
    return _PALETTE[color] if isinstance(color, int) else color
