"""Leftover logs: the saved logs of commands that were still running when their kernel ended.

Such an output names a view of the old kernel, and a page shows "model not found" in place of the log
that is saved beside it. So the next kernel opens these views again in the state `lost`, and each view lets
the page replace it with the saved log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import WIDGET_MIME_TYPE

if TYPE_CHECKING:
    from .log_view import LogView

# The key in the metadata of an output that shows a view. Its value has the command and the session.
MARK = "daytona-kernel-log"


@dataclass(frozen=True, slots=True)
class LeftoverLog:
    """A view in a notebook's file, and the log saved with it. `model_id` is the id of the view's model."""

    model_id: str
    command: str
    session: str
    bundle: dict[str, Any]

    def open(self) -> LogView:
        """Return the view. It answers pages for as long as the caller keeps it."""
        from .log_view import LogView

        view = LogView(model_id=self.model_id, command=self.command, session=self.session, state="lost")

        def answer(content: dict[str, Any]) -> None:
            if content.get("type") == "bundle":
                saved = {"bundle": self.bundle, "model_id": self.model_id}
                view.send({"type": "bundle", "to": content.get("view"), "state": "lost", **saved})

        view.on_message(answer)
        return view


def read_leftover_logs(notebook: str | Path) -> list[LeftoverLog]:
    """Return the leftover logs in a notebook's file, or none if it cannot be read."""
    try:
        content = Path(notebook).read_bytes()
        cells = json.loads(content).get("cells", []) if MARK.encode() in content else []
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return []
    return [log for output in outputs if (log := _leftover_log(output)) is not None]


def _leftover_log(output: Any) -> LeftoverLog | None:
    """Return the log in an output, or None if it has none, or if the kernel did not write it."""
    try:
        mark = output["metadata"][MARK]
        data = dict(output["data"])
        model = data.pop(WIDGET_MIME_TYPE)
        bundle = {str(mime): "".join(text) for mime, text in data.items()}
        return LeftoverLog(str(model["model_id"]), str(mark["command"]), str(mark["session"]), bundle)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
