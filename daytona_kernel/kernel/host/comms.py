"""The kernel's own comms. The log views live in this process; the user's widgets live in the sandbox.

ipywidgets opens and finds comms through the package `comm`, so this module replaces that package's hooks.
A comm publishes its messages as answers to the request that caused them. `current_request` knows that
request: the cell whose magic showed a view, or the front end's message that is being handled.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import comm
from comm.base_comm import BaseComm, CommManager
from ipykernel.jsonutil import json_clean

if TYPE_CHECKING:
    from ...wire.messages import Message
    from ..out.outbox import Outbox

current_request: ContextVar[Message] = ContextVar("current_request")


class Comms:
    """The comms of this process. They belong to the API thread's loop.

    `owns` and `listed` may be called from any thread.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._manager = CommManager()
        manager = self._manager

        class KernelComm(BaseComm):
            def publish_msg(
                self,
                msg_type: str,
                data: Any = None,
                metadata: Any = None,
                buffers: Any = None,
                **keys: Any,
            ) -> None:
                content = json_clean({"data": data or {}, "comm_id": self.comm_id, **keys})
                parts = [bytes(memoryview(part).cast("B")) for part in buffers or ()]
                outbox.say(current_request.get(), msg_type, content, json_clean(metadata or {}), parts)

        comm.create_comm = KernelComm
        comm.get_comm_manager = lambda: manager

    def owns(self, comm_id: str) -> bool:
        """Return whether the comm belongs to this process."""
        return comm_id in self._manager.comms

    def listed(self, target_name: str | None) -> dict[str, dict[str, str]]:
        """Return the comms as in a `comm_info_reply`; None selects all targets."""
        return {
            comm_id: {"target_name": each.target_name}
            for comm_id, each in list(self._manager.comms.items())
            if target_name in (None, each.target_name)
        }

    def take(self, message: Message) -> None:
        """Handle a front end's `comm_msg` or `comm_close` for a comm of this process."""
        current_request.set(message)
        parsed = {
            "header": message.header,
            "content": message.content,
            "metadata": {},
            "buffers": [memoryview(part) for part in message.parts[4:]],
        }
        handler = getattr(self._manager, message.msg_type)
        self._outbox.say(message, "status", {"execution_state": "busy"})
        try:
            handler(None, None, parsed)
        finally:
            self._outbox.say(message, "status", {"execution_state": "idle"})
