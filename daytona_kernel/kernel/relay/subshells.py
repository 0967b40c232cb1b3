"""Subshells under ids that the kernel creates.

A front end may ask for a subshell before there is an interpreter, and keeps its id when the interpreter is
replaced. So the front end's id names an entry here. The interpreter's subshell behind it is created when
the first message is sent to it, again for each new interpreter. Answers name the front end's id again.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from ...errors import InterpreterError
from ...wire.messages import Message, encode_json

# Sends an own request to the interpreter; see OwnRequests.ask.
Ask = Callable[..., Awaitable[dict[str, Any]]]

# The limit of remembered ids. Messages may be on their way when their subshell is deleted.
_MOST_REMEMBERED = 1000


class Subshells:
    """The subshells of one kernel. They belong to the relay's loop."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        # The interpreter's id behind each of the kernel's ids; None before it is created.
        self._created: dict[str, asyncio.Task[str] | None] = {}
        # The kernel's id by the interpreter's, the latest last; also of subshells that were deleted.
        self._own_ids: dict[str, str] = {}

    def create(self) -> str:
        """Return the id of a new subshell."""
        subshell_id = str(uuid.uuid4())
        self._created[subshell_id] = None
        return subshell_id

    def delete(self, subshell_id: str) -> None:
        """Forget a subshell and end the interpreter's. Raises KeyError if the id is unknown."""
        created = self._created.pop(subshell_id)
        if created is not None:
            created.add_done_callback(self._end)

    @property
    def ids(self) -> list[str]:
        """The ids of all subshells."""
        return list(self._created)

    def forget_interpreter(self) -> None:
        """Forget the interpreter's subshells, because it is gone."""
        self._created = dict.fromkeys(self._created)
        self._own_ids.clear()

    async def address(self, message: Message, subshell_id: str | None = None) -> Message:
        """Return the message with the interpreter's subshell id in its header.

        subshell_id: the kernel's id of the subshell; None for the one in the message's header.

        Raises InterpreterError if the id is unknown, or if the interpreter does not create the subshell.
        """
        subshell_id = subshell_id or message.header.get("subshell_id")
        if subshell_id is None:
            return message
        if subshell_id not in self._created:
            raise InterpreterError(f"The subshell {subshell_id} has been deleted.")
        created = self._created[subshell_id]
        if created is None:
            created = self._created[subshell_id] = asyncio.ensure_future(self._create(subshell_id))
            # If nobody waits for it any more, asyncio would log its exception as never retrieved.
            created.add_done_callback(asyncio.Task.exception)
        header = encode_json({**message.header, "subshell_id": await asyncio.shield(created)})
        return Message(message.channel, [header, *message.parts[1:]])

    def restore(self, message: Message) -> Message:
        """Return a message of the interpreter with the kernel's subshell id in its parent header."""
        named = message.parent_header.get("subshell_id")
        own_id = self._own_ids.get(named) if isinstance(named, str) else None
        if own_id is None:
            return message
        parent = encode_json({**message.parent_header, "subshell_id": own_id})
        return Message(message.channel, [message.parts[0], parent, *message.parts[2:]])

    async def _create(self, own_id: str) -> str:
        reply = await self._ask("control", "create_subshell_request", {})
        if reply.get("status") != "ok":
            reason = reply.get("evalue", "it gives no reason")
            raise InterpreterError(f"The interpreter did not create a subshell: {reason}")
        created = str(reply["subshell_id"])
        self._own_ids[created] = own_id
        if len(self._own_ids) > _MOST_REMEMBERED:
            del self._own_ids[next(iter(self._own_ids))]
        return created

    def _end(self, created: asyncio.Task[str]) -> None:
        if created.exception() is None:
            asyncio.ensure_future(self._delete(created.result()))  # noqa: RUF006 - nobody waits for its end

    async def _delete(self, subshell_id: str) -> None:
        try:
            # This waits until the subshell has handled its earlier requests. They would be lost otherwise.
            await self._ask("shell", "kernel_info_request", {}, subshell_id)
            await self._ask("control", "delete_subshell_request", {"subshell_id": subshell_id})
        except InterpreterError:
            pass  # the interpreter has ended, and the subshell with it
