"""The cells that run now, as far as the status messages on iopub tell.

Jupyter's server and a page take the last status for the kernel's. This kernel answers requests beside a
running cell, and each of them ends with `idle`. So `busy` follows each such `idle`, under a cell that still
runs. Without it, Jupyter's idle culler ends a kernel in the middle of a cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...wire.messages import Message, Part


class RunningCells:
    """The cells that have published `busy`, and not yet `idle`. They belong to the relay's loop.

    Only the relay adds cells, because a sandbox could make up any number of them.
    """

    def __init__(self) -> None:
        # The parent header of each cell's messages, by the cell's message id; None if the cell is not busy.
        self._parents: dict[str, Part | None] = {}

    def add(self, msg_id: str) -> None:
        """Add a cell that will publish `busy`."""
        self._parents[msg_id] = None

    def remove(self, msg_id: str) -> None:
        """Remove a cell that has ended."""
        self._parents.pop(msg_id, None)

    def observe(self, status: Message) -> Part | None:
        """Look at a status that was published; return the parent of the `busy` that must follow, or None."""
        msg_id, state = status.parent_id, status.content.get("execution_state")
        if msg_id in self._parents:
            self._parents[msg_id] = status.parts[1] if state == "busy" else None
        if state != "idle":
            return None
        return next((parent for parent in self._parents.values() if parent is not None), None)
