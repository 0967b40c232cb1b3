"""A cell that runs a magic while there is no interpreter: the kernel itself shows the magic's output."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from ...errors import DaytonaError
from ...wire.magic_messages import Assign, Display, Print, SetEnvironment, Step

if TYPE_CHECKING:
    from ...wire.messages import Message
    from ...wire.values import EncodedValue
    from ..out.outbox import Outbox


class KernelsCell:
    """The way of a magic's output to such a cell, in place of a CellChannel. request: the cell's."""

    def __init__(self, outbox: Outbox, request: Message) -> None:
        self._outbox = outbox
        self._request = request

    async def take(self, step: Step) -> None:
        """Show what a step prints or displays."""
        match step:
            case Print(stream=stream, text=text):
                self._outbox.say(self._request, "stream", {"name": stream, "text": text})
            case Display(data=data, metadata=metadata):
                content = {"data": data, "metadata": metadata, "transient": {}}
                self._outbox.say(self._request, "display_data", content)
            case Assign() | SetEnvironment():
                pass  # there is no namespace, and the next interpreter gets the variables
            case unexpected:
                assert_never(unexpected)

    async def ask(self, name: str) -> EncodedValue:
        """Raise DaytonaError, because there are no variables."""
        raise DaytonaError(f"{name!r} cannot be copied: there is no interpreter in the sandbox now.")
