"""The form of a log that stays in a notebook: HTML and text that need neither a kernel nor a script.

GitHub drops `style` attributes, and nbconvert does not define JupyterLab's variables. So the frame
consists of `details` and `pre`, which mean the same everywhere, and inline styles make it look like the
live view where they are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ..formatting import format_bytes, format_clock, format_count
from .styled_text import inline_css, saved_color, themed_colors

if TYPE_CHECKING:
    from .line_editor import Line
    from .log_buffer import Excerpt

_OPEN_LINES = 100  # the lines above them are folded


@dataclass(frozen=True, slots=True)
class Heading:
    """The lines above a log. `elapsed` is in seconds; an `exit_code` of `None` is unknown.

    reason: why the log is no longer followed, where `state` is lost.
    whole: the magic that prints the whole log; "" for none.
    hint: a sentence for a page without the view; "" for none.
    """

    command: str
    session: str
    state: str
    exit_code: int | None
    elapsed: float
    line_count: int
    byte_count: int
    reason: str = ""
    whole: str = ""
    hint: str = ""

    @property
    def title(self) -> str:
        """The first line of the command."""
        first, *more = self.command.strip().splitlines() or [""]
        return f"{first} …" if more else first

    @property
    def outcome(self) -> str:
        """The state in words."""
        if self.state == "running":
            return "still running"
        if self.state == "lost":
            return f"no longer followed: {self.reason}" if self.reason else "no longer followed"
        if self.state == "exited":
            return "ended" if self.exit_code is None else f"exited {self.exit_code}"
        return self.state

    @property
    def facts(self) -> str:
        """Everything but the command, in one line."""
        size = [format_count(self.line_count, "line"), format_bytes(self.byte_count)]
        return " · ".join([self.outcome, format_clock(self.elapsed), *size, f"session {self.session}"])


@dataclass(frozen=True, slots=True)
class SavedLog:
    """A heading, and the last lines of a log. `view_id`: the view that a page may show in its place."""

    heading: Heading
    excerpt: Excerpt
    view_id: str = ""

    def bundle(self) -> dict[str, str]:
        """Return the MIME bundle that a notebook keeps."""
        return {"text/html": self.to_html(), "text/plain": self.to_text()}

    def to_text(self) -> str:
        """Return the log as text, below a line with the heading."""
        parts = [f"$ {self.heading.title}  ({self.heading.facts})"]
        if self.excerpt.first:
            parts.append(self._dropped)
        parts += [line.text + _cut_note(line) for line in self._lines]
        return "\n".join(parts)

    def to_html(self) -> str:
        """Return the log as HTML that folds. Where styles are kept, it is scrolled to its end."""
        heading = self.heading
        rows = [_row(line) for line in self._lines]
        earlier, latest = rows[:-_OPEN_LINES], rows[-_OPEN_LINES:]
        parts = [f'<div style="{_QUIET}"><em>{self._dropped}</em></div>'] if self.excerpt.first else []
        if earlier:
            count = format_count(len(earlier), "line")
            summary = f'<summary style="{_QUIET};cursor:pointer">{count} above</summary>'
            parts.append(f"<details>{summary}{_pre(earlier)}</details>")
        parts.append(_pre(latest) if latest else f'<div style="{_QUIET}"><em>no output</em></div>')
        log = "".join(parts)
        hint = f'<div style="{_FACTS}">{escape(heading.hint)}</div>' if heading.hint else ""
        return (
            f'<details open class="dk-saved-{escape(self.view_id)}" style="{_FRAME}{themed_colors(log)}">'
            f'<summary style="{_HEAD}">'
            f'<span style="color:{saved_color(_dot(heading))}">●</span> '
            f'<code title="{escape(heading.command)}" style="{_COMMAND}">{escape(heading.title)}</code> '
            f'<div style="{_FACTS}">{escape(heading.facts)}</div>{hint}</summary>'
            f'<div style="{_BODY}"><div>{log}</div></div></details>'
        )

    @property
    def _lines(self) -> list[Line]:
        lines, last = self.excerpt.lines, self.excerpt.unfinished
        return [*lines, last] if last and (last.text or last.cut) else lines

    @property
    def _dropped(self) -> str:
        lines = format_count(self.excerpt.first, "earlier line")
        if not self.heading.whole:
            return f"… {lines} not kept …"
        return (
            f"… {lines} not kept here; while the sandbox exists, {self.heading.whole} prints the whole log …"
        )


_LINE_COLOR = "var(--jp-border-color2,#8885)"
_QUIET = "color:var(--jp-ui-font-color2,#808080);font-size:11px"
# JupyterLab, and nothing else, has 20 pixels beside HTML and none beside widgets, and defines this variable.
_WIDER = "calc(-20px * min(1,var(--jp-content-line-height,0)))"
_FRAME = (
    f"margin:2px {_WIDER} 2px 0;border:1px solid {_LINE_COLOR};border-radius:6px;overflow:hidden;"
    "font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:12px;line-height:1.45"
)
_HEAD = "padding:5px 10px;cursor:pointer;white-space:nowrap;overflow:hidden;text-overflow:ellipsis"
_COMMAND = "white-space:nowrap;margin:0 2px;padding:0;background:none;font-size:12px;font-weight:500"
_FACTS = (
    f"{_QUIET};padding-left:28px;overflow:hidden;text-overflow:ellipsis;font-variant-numeric:tabular-nums"
)
# A reversed column scrolls from its end.
_BODY = (
    "display:flex;flex-direction:column-reverse;max-height:340px;overflow:auto;padding:6px 10px;"
    f"border-top:1px solid {_LINE_COLOR}"
)
_PRE = (
    "margin:0;padding:0;border:0;background:none;overflow:visible;white-space:pre;"
    "font-family:var(--jp-code-font-family,monospace);font-size:12px;line-height:17px"
)


def _pre(rows: list[str]) -> str:
    # HTML drops a newline right after the tag, so an empty first line needs one more.
    lines = "\n".join(rows)
    return f'<pre style="{_PRE}">\n{lines}</pre>'


def _dot(heading: Heading) -> str:
    """Return the color of the dot: blue, yellow, green or red."""
    if heading.state == "exited":
        return "c1" if heading.exit_code else "c2"
    return {"running": "c4", "stopped": "c3"}.get(heading.state, "c1")


def _cut_note(line: Line) -> str:
    return f" … {line.cut:,} more characters" if line.cut else ""


def _row(line: Line) -> str:
    parts, position = [], 0
    for length, style in line.runs:
        text = escape(line.text[position : position + length], quote=False)
        css = inline_css(style)
        parts.append(f'<span style="{css}">{text}</span>' if css else text)
        position += length
    parts.append(escape(line.text[position:], quote=False))
    row = "".join(parts) + (f"<em>{_cut_note(line)}</em>" if line.cut else "")
    if not any(style.stderr for _, style in line.runs):
        return row
    bar = f"border-left:2px solid {saved_color('stderr')};margin-left:-10px;padding-left:8px"
    return f'<span style="{bar}">{row}</span>'
