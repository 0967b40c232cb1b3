"""The widget that shows a log in a page. `static/` has the page's side.

Only the command's state is synced. Lines travel as custom messages to every page, each with the number
of its first line, so that a view can tell that it has missed some, and ask for them. Messages from page to
kernel:

    {type: "present"}                         a page has the model, whether it shows a view or not
    {type: "read", view, since, before}       asks for the lines from a number on, or the last before a number
    {type: "stop"}  {type: "input", text}
    {type: "download", view, piece}           asks for the next piece of the whole log; 0 starts again
    {type: "downloaded", view}                the page has all pieces
    {type: "bundle", view}                    asks for the saved log, which can replace the view

Messages from kernel to page: `lines`, `notice` {text}, `piece` {piece, last} with the bytes as a buffer, and
`bundle` {state, bundle, model_id}. `to` names the view that an answer is for. At the command's end, every
page gets the saved log without asking.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from . import WIDGET_MIME_TYPE
from .styled_text import STATIC

if TYPE_CHECKING:
    from collections.abc import Callable

# Each module stands after those that it imports; see static/view.js.
_MODULES = (
    "formats",
    "lines",
    "layout",
    "search",
    "elements",
    "rows",
    "frame",
    "viewport",
    "search_bar",
    "status",
    "status_line",
    "requests",
    "download",
    "reader_actions",
    "replacement",
    "mount",
    "view",
)
_OWN_IMPORT = re.compile(r'^import \{[^}\n]*\} from "\./\w+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=class |const |function\b)", re.MULTILINE)
# Every view carries the script, so comments stay behind. They are a quarter of it.
_COMMENT = re.compile(r"^ *(?://[^\n]*|/\*\*.*?\*/)\n", re.MULTILINE | re.DOTALL)


def join_modules() -> str:
    """Return the page's side as one JavaScript module."""
    source = "\n".join((STATIC / f"{name}.js").read_text("utf-8") for name in _MODULES)
    return _EXPORT.sub("", _OWN_IMPORT.sub("", _COMMENT.sub("", source)))


class LogView(anywidget.AnyWidget):
    """The view of one command's log. `state` is running, exited, stopped or lost."""

    _esm = join_modules()
    _css = "\n".join((STATIC / name).read_text("utf-8") for name in ("text.css", "view.css"))

    # A layout would be a second widget. A page that got only the view's message would never show the view.
    layout = traitlets.Any(None, allow_none=True).tag(sync=True)
    command = traitlets.Unicode().tag(sync=True)
    # The saved log has it in the name of its class.
    view_id = traitlets.Unicode().tag(sync=True)
    session = traitlets.Unicode().tag(sync=True)
    state = traitlets.Enum(("running", "exited", "stopped", "lost"), "running").tag(sync=True)
    # None while the command runs, and if the exit code is unknown.
    exit_code = traitlets.Int(None, allow_none=True).tag(sync=True)
    # The seconds from the command's start to the last change of the state, by the kernel's clock.
    elapsed = traitlets.Float(0.0).tag(sync=True)

    def on_message(self, receive: Callable[[dict[str, Any]], None]) -> None:
        """Have `receive` called with the content of each custom message from a page."""
        self.on_msg(lambda _widget, content, _buffers: receive(content))

    def bundle(self) -> dict[str, Any]:
        """Return the part of a MIME bundle that makes a page show this view."""
        return {WIDGET_MIME_TYPE: {"version_major": 2, "version_minor": 0, "model_id": self.model_id}}
