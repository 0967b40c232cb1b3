"""Logs that a notebook was saved with while their commands ran, and whose kernel is gone since.

Such an output names a view that nobody has any more: a page would say "model not found" where the
log stands that was saved beside it. So a kernel opens these views again, as ones whose log is lost,
and each gives way to what was saved.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .log_view import LogView

# In the metadata of an output that shows a view, and with it the command and its session.
MARK = "daytona-kernel-log"

_WIDGET_MIME_TYPE = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True, slots=True)
class LeftoverLog:
    """A view that was saved, and what was saved with it. model_id: of the view's model."""

    model_id: str
    command: str
    session: str
    bundle: dict[str, Any]

    def open(self) -> LogView:
        """Return the view, which the caller keeps."""
        from .log_view import LogView

        view = LogView(model_id=self.model_id, command=self.command, session=self.session, state="lost")

        def answer(content: dict[str, Any]) -> None:
            if content.get("type") == "bundle":
                saved = {"bundle": self.bundle, "model_id": self.model_id}
                view.send({"type": "bundle", "to": content.get("view"), "state": "lost", **saved})

        view.on_message(answer)
        return view


def read_leftover_logs(notebook: str | Path) -> list[LeftoverLog]:
    """Return the views that a notebook was saved with; none where it cannot be read."""
    try:
        content = Path(notebook).read_bytes()
        cells = json.loads(content).get("cells", []) if MARK.encode() in content else []
        return [
            left
            for cell in cells
            for output in cell.get("outputs", ())
            if (left := _leftover_log(output)) is not None
        ]
    except (OSError, ValueError, AttributeError, TypeError):
        return []


def _leftover_log(output: dict[str, Any]) -> LeftoverLog | None:
    mark = output.get("metadata", {}).get(MARK)
    data = dict(output.get("data", {}))
    model = data.pop(_WIDGET_MIME_TYPE, None)
    if mark is None or model is None:
        return None
    bundle = {mime: "".join(text) for mime, text in data.items()}
    return LeftoverLog(str(model["model_id"]), str(mark["command"]), str(mark["session"]), bundle)
