"""The widget in which a page shows a followed log; the page's side is in `static/`.

Only what is small is synced state. Lines travel as custom messages that every page gets, each with
the number of its first line, so a view that missed some knows, and asks. Page to kernel:

    {type: "present"}                         a page holds the model, whether it shows a view or not
    {type: "read", view, since, before}       lines from a number on, or the last ones before a number
    {type: "stop"}  {type: "input", text}
    {type: "download", view, piece}           the next piece of the whole log; 0 begins anew
    {type: "downloaded", view}                the page has it all
    {type: "bundle", view}                    what can replace the view: a snapshot, at the end the final log

Kernel to page: `lines`, `notice` {text}, `piece` {piece, last} with the bytes as a buffer, and
`bundle` {state, bundle, model_id}; `to` names the one view that an answer is meant for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

if TYPE_CHECKING:
    from collections.abc import Callable

    from .ansi import Line, Style

WIDGET_MIME_TYPE = "application/vnd.jupyter.widget-view+json"

_STATIC = Path(__file__).parent / "static"


class LogView(anywidget.AnyWidget):
    """The view of one command's log. `state` is running, exited, stopped or lost."""

    _esm = _STATIC / "log_view.js"
    _css = _STATIC / "log_view.css"

    command = traitlets.Unicode().tag(sync=True)
    session = traitlets.Unicode().tag(sync=True)
    state = traitlets.Enum(("running", "exited", "stopped", "lost"), "running").tag(sync=True)
    exit_code = traitlets.Int(None, allow_none=True).tag(sync=True)
    # The seconds that the command had been running when this state was sent, by the kernel's clock.
    elapsed = traitlets.Float(0.0).tag(sync=True)

    def on_message(self, receive: Callable[[dict[str, Any]], None]) -> None:
        """Have `receive` called with the content of each custom message from a page."""
        self.on_msg(lambda _widget, content, _buffers: receive(content))

    def bundle(self) -> dict[str, Any]:
        """Return the part of a MIME bundle that makes a page show this view."""
        return {WIDGET_MIME_TYPE: {"version_major": 2, "version_minor": 0, "model_id": self.model_id}}


def encode_line(line: Line) -> str | list[Any]:
    """Return a line as the page takes it: text, or [text, [length, style, …], characters cut]."""
    if not line.runs and not line.cut:
        return line.text
    runs: list[int | str] = []
    for length, style in line.runs:
        runs += (length, encode_style(style))
    return [line.text, runs, line.cut]


def encode_style(style: Style) -> str:
    """Return a style as words: e stderr, b bold, d faint, i italic, u underline, s strike, v inverse;
    f and k with a palette number or `#rrggbb` for fore- and background.
    """
    words = [
        word
        for word, claimed in (
            ("e", style.stderr),
            ("b", style.bold),
            ("d", style.faint),
            ("i", style.italic),
            ("u", style.underline),
            ("s", style.strike),
            ("v", style.inverse),
        )
        if claimed
    ]
    if style.foreground is not None:
        words.append(f"f{style.foreground}")
    if style.background is not None:
        words.append(f"k{style.background}")
    return " ".join(words)
