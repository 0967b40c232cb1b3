"""The table of requests without a reply.

The interpreter has another table, of executions: an execution can fail without a reply from the interpreter,
and it is over only when `idle` has arrived too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .requests import MAIN_QUEUE, Request

if TYPE_CHECKING:
    from collections.abc import Iterator


class RequestTable(dict[str, Request]):
    """The requests by message id, in the order of their arrival. Only the relay's loop changes them."""

    def cells(self) -> Iterator[Request]:
        """Yield the requests that run code. Any thread may call this."""
        return (request for request in list(self.values()) if request.is_execution)

    def has_others(self, cell: Request) -> bool:
        """Return whether other cells than this one run or wait."""
        return any(each is not cell for each in self.cells())

    @property
    def first_cell(self) -> Request | None:
        """The cell that arrived first, or None. Any thread may read this."""
        return next(self.cells(), None)

    @property
    def first_of_main_shell(self) -> Request | None:
        """The cell that an interrupt is for, or None. Interrupts do not reach subshells."""
        return next((cell for cell in self.cells() if cell.queue == MAIN_QUEUE), None)

    def running_cell(self, msg_id: str | None) -> Request | None:
        """Return a cell if it runs now, and does not wait behind another cell of its queue.

        msg_id: the request's message id; None for the cell of the main shell. Any thread may call this.
        """
        if msg_id is None:
            return self.first_of_main_shell
        named = self.get(msg_id)
        if named is None or not named.is_execution:
            return None
        first = next((cell for cell in self.cells() if cell.queue == named.queue), None)
        return named if named is first else None
