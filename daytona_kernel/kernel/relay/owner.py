"""What the relay asks of the kernel that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Container

    from ...wire.messages import Message
    from ..magic_cell import MagicCell


class Owner(Protocol):
    """What the relay asks of the kernel, each safe to call from the relay's loop."""

    @property
    def magic_names(self) -> Container[str]:
        """The magics that the kernel can run itself."""
        ...

    async def run_without(self, request: Message, magic: MagicCell | None, why: Exception) -> None:
        """Run a cell without an interpreter: a magic, or code in a runtime of its own.

        why: what stands in the interpreter's way. Raises DaytonaError.
        """

    def interpreter_wanted(self) -> None:
        """There is no interpreter, and somebody wants one."""

    def interpreter_ready(self, kernel_info: dict[str, Any]) -> None:
        """An interpreter answers; a fresh one whenever this is called again."""

    def interpreter_ended(self) -> None:
        """What the interpreter had is gone: its comms, its magics that wait."""

    def owned_comms(self, target_name: str | None) -> dict[str, dict[str, str]]:
        """The kernel's own comms, as a `comm_info_reply` lists them."""
        ...

    def magic_called(self, message: Message) -> None:
        """The interpreter asks for a magic of the kernel."""

    def magic_closed(self, call_id: str) -> None:
        """A magic in the interpreter has its answer, or no longer waits for it."""
