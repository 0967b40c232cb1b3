"""Comms of the kernel's own: the log views live in this process, the user's widgets in the sandbox.

`comm` is the package through which ipywidgets opens and finds comms; it is given these. A comm
speaks under the request that caused it, which the context of the running task knows: the cell
whose magic showed a view, or the message of a front end that is being handled.
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
    """The comms of this process. They belong to the kernel's main loop.

    `owns` and `listed` only look, and may be called from other threads.
    """

    def __init__(self, outbox: Outbox) -> None:
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
        """Whether a comm is one of this process."""
        return comm_id in self._manager.comms

    def listed(self, target_name: str | None) -> dict[str, dict[str, str]]:
        """The comms as a `comm_info_reply` lists them; None means of all targets."""
        return {
            comm_id: {"target_name": each.target_name}
            for comm_id, each in list(self._manager.comms.items())
            if target_name in (None, each.target_name)
        }

    def take(self, message: Message) -> None:
        """Handle a `comm_msg` or `comm_close` for a comm of this process."""
        current_request.set(message)
        parsed = {
            "header": message.header,
            "content": message.content,
            "metadata": {},
            "buffers": [memoryview(part) for part in message.parts[4:]],
        }
        handler = getattr(self._manager, message.msg_type)
        handler(None, None, parsed)
