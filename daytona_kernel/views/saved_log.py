"""A log as it is saved in a notebook: HTML and text that need neither kernel nor script.

GitHub strips styles and nbconvert knows no JupyterLab variables, so the frame is `details` and `pre`,
which mean the same everywhere; inline styles only make it look like the live view where they may.
The palette is of middle lightness, so that each colour can be read on white and on black.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ..formatting import format_bytes, format_clock, format_count

if TYPE_CHECKING:
    from .ansi import Color, Line, Style
    from .log_buffer import Excerpt

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
    reason: str = ""

    @property
    def title(self) -> str:
        """The command in one line."""
        first, *more = self.command.strip().splitlines() or [""]
        return f"{first} …" if more else first

    @property
    def outcome(self) -> str:
        """The state in words."""
        if self.state == "running":
            return "still running"
        if self.state == "lost":
            return f"no longer followed: {self.reason}" if self.reason else "no longer followed"
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
        size = [format_count(self.line_count, "line"), format_bytes(self.byte_count)]
        return " · ".join([self.outcome, format_clock(self.elapsed), *size, f"session {self.session}"])


def plain_snapshot(heading: Heading, excerpt: Excerpt) -> str:
    """Return the log as text, with a first line that says what it is the log of."""
    parts = [f"$ {heading.title}  ({heading.facts})"]
    if excerpt.first:
        parts.append(_dropped(excerpt.first))
    parts += [line.text + _cut(line) for line in _all_lines(excerpt)]
    return "\n".join(parts)


def html_snapshot(heading: Heading, excerpt: Excerpt) -> str:
    """Return the log as HTML, foldable, and scrolled to its end where styles are kept."""
    rows = [_row(line) for line in _all_lines(excerpt)]
    earlier, latest = rows[:-_OPEN_LINES], rows[-_OPEN_LINES:]
    parts = [f'<div style="{_QUIET}"><em>{_dropped(excerpt.first)}</em></div>'] if excerpt.first else []
    if earlier:
        summary = (
            f'<summary style="{_QUIET};cursor:pointer">{format_count(len(earlier), "line")} above</summary>'
        )
        parts.append(f"<details>{summary}{_pre(earlier)}</details>")
    parts.append(_pre(latest) if latest else f'<div style="{_QUIET}"><em>no output</em></div>')
    return (
        f'<details open style="{_FRAME}"><summary style="{_HEAD}">'
        f'<span style="color:{_dot(heading)}">●</span> '
        f'<code title="{escape(heading.command)}" style="{_COMMAND}">{escape(heading.title)}</code> '
        f'<div style="{_FACTS}">{escape(heading.facts)}</div></summary>'
        f'<div style="{_BODY}"><div>{"".join(parts)}</div></div></details>'
    )


_LINE_COLOR = "var(--jp-border-color2,#8885)"
_QUIET = "color:var(--jp-ui-font-color2,#808080);font-size:11px"
_FRAME = (
    f"margin:2px 0;border:1px solid {_LINE_COLOR};border-radius:6px;overflow:hidden;"
    "font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:12px;line-height:1.45"
)
_HEAD = "padding:5px 10px;cursor:pointer;white-space:nowrap;overflow:hidden;text-overflow:ellipsis"
_COMMAND = "white-space:nowrap;margin:0 2px;padding:0;background:none;font-size:12px;font-weight:500"
_FACTS = (
    f"{_QUIET};padding-left:28px;overflow:hidden;text-overflow:ellipsis;font-variant-numeric:tabular-nums"
)
# Reversed, since a box scrolls from its end then.
_BODY = (
    "display:flex;flex-direction:column-reverse;max-height:340px;overflow:auto;padding:6px 10px;"
    f"border-top:1px solid {_LINE_COLOR}"
)
_PRE = (
    "margin:0;padding:0;border:0;background:none;overflow:visible;white-space:pre;"
    "font-family:var(--jp-code-font-family,monospace);font-size:12px;line-height:17px"
)


def _pre(rows: list[str]) -> str:
    # HTML drops a newline right after the tag, which may be an empty first line of the log.
    return f'<pre style="{_PRE}">\n{chr(10).join(rows)}</pre>'


def _dot(heading: Heading) -> str:
    if heading.state == "exited":
        return _PALETTE[1] if heading.exit_code else _PALETTE[2]
    return {"running": _PALETTE[4], "stopped": _PALETTE[3]}.get(heading.state, _PALETTE[1])


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
    row = "".join(parts) + (f"<em>{_cut(line)}</em>" if line.cut else "")
    return f'<span style="{_STDERR_BAR}">{row}</span>' if any(style.stderr for _, style in line.runs) else row


# Each has a contrast of 4 or more both to white and to the near-black of dark themes.
_PALETTE = (
    *("#737373", "#d44343", "#2d882d", "#9e6e10", "#3976d2", "#bc45bc", "#108494", "#7f7f7f"),
    *("#737373", "#e33c3c", "#159015", "#a17317", "#3479e2", "#d61fd6", "#168798", "#7f7f7f"),
)
_STDERR = "#b66037"
_STDERR_BAR = f"border-left:2px solid {_STDERR};margin-left:-10px;padding-left:8px"


def _css(style: Style) -> str:
    fore, back = _color(style.foreground), _color(style.background)
    if style.inverse:
        fore, back = back or "#ffffff", fore or "#777777"
    elif back and not fore:
        fore = "#ffffff"
    if not fore and style.stderr:
        fore = _STDERR
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
