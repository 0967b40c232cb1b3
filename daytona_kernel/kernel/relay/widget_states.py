"""Adds the kernel's own widgets to the list of all widgets, which JupyterLab asks for after a reload.

JupyterLab asks on a comm with the target `jupyter.widget.control`. ipywidgets in the sandbox answers with
the user's widgets. The relay adds the kernel's widgets, the log views, to that answer.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...wire.messages import Message


CONTROL_TARGET = "jupyter.widget.control"


class WidgetStates:
    """Follows the comms that list all widgets. It belongs to the relay's loop."""

    def __init__(self) -> None:
        self._comms: set[str] = set()
        self._requests: set[str] = set()

    def observe(self, message: Message) -> None:
        """Look at a front end's comm message on its way to the interpreter."""
        content = message.content
        comm_id = str(content.get("comm_id"))
        if message.msg_type == "comm_open" and content.get("target_name") == CONTROL_TARGET:
            self._comms.add(comm_id)
        elif message.msg_type == "comm_close":
            self._comms.discard(comm_id)
        elif comm_id in self._comms:
            self._requests.add(message.msg_id)

    def join(self, message: Message) -> Message:
        """Return the interpreter's message. If it lists all widgets, the kernel's widgets are added."""
        if message.parent_id not in self._requests:
            return message
        if message.msg_type == "status":
            if message.content.get("execution_state") == "idle":
                self._requests.discard(message.parent_id)
            return message
        content = message.content
        data = content.get("data", {})
        if message.msg_type != "comm_msg" or data.get("method") != "update_states":
            return message
        # The kernel's widgets have no binary state, so the buffers and their paths remain valid.
        data["states"] = {**data.get("states", {}), **_own_states()}
        return message.with_content(content)


def _own_states() -> dict[str, object]:
    if "ipywidgets" not in sys.modules:
        return {}
    from ipywidgets import Widget

    states: dict[str, object] = Widget.get_manager_state(drop_defaults=False)["state"]
    return states
