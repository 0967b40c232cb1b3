"""Subshells, under ids of the kernel's own.

A front end may ask for a subshell before there is an interpreter, and keeps its id when the
interpreter is replaced. So the id that it sees names a place here, and the interpreter's subshell
behind it is made when something is sent there, and made anew in a fresh interpreter.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from ...errors import InterpreterError
from ...wire.messages import Message, encode_json

# Asks the interpreter something; see OwnRequests.ask.
Ask = Callable[..., Awaitable[dict[str, Any]]]


class Subshells:
    """The subshells of one kernel. They belong to the relay's loop."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._made: dict[str, asyncio.Task[str] | None] = {}

    def create(self) -> str:
        """Return the id of a new subshell."""
        subshell_id = str(uuid.uuid4())
        self._made[subshell_id] = None
        return subshell_id

    def delete(self, subshell_id: str) -> None:
        """Forget a subshell, and end the interpreter's. Raises KeyError for an unknown one."""
        made = self._made.pop(subshell_id)
        if made is not None:
            made.add_done_callback(self._end)

    @property
    def ids(self) -> list[str]:
        """The ids of all subshells."""
        return list(self._made)

    def forget_interpreter(self) -> None:
        """The interpreter is gone, and its subshells with it."""
        self._made = dict.fromkeys(self._made)

    async def address(self, message: Message, subshell_id: str | None = None) -> Message:
        """Return the message as the interpreter must see it: with its own subshell's id.

        subshell_id: where to send it; None for the one that its header names.

        Raises InterpreterError for a subshell that is unknown, or that the interpreter does not make.
        """
        subshell_id = subshell_id or message.header.get("subshell_id")
        if subshell_id is None:
            return message
        if subshell_id not in self._made:
            raise InterpreterError(f"The subshell {subshell_id} was deleted meanwhile.")
        made = self._made[subshell_id]
        if made is None:
            made = self._made[subshell_id] = asyncio.ensure_future(self._make())
            made.add_done_callback(asyncio.Task.exception)  # those who wait for it may be gone
        header = encode_json({**message.header, "subshell_id": await asyncio.shield(made)})
        return Message(message.channel, [header, *message.parts[1:]])

    async def _make(self) -> str:
        reply = await self._ask("control", "create_subshell_request", {})
        if reply.get("status") != "ok":
            raise InterpreterError(
                f"The interpreter made no subshell: {reply.get('evalue', 'no reason given')}"
            )
        return str(reply["subshell_id"])

    def _end(self, made: asyncio.Task[str]) -> None:
        if made.exception() is None:
            asyncio.ensure_future(self._delete(made.result()))  # noqa: RUF006 - nobody waits for its end

    async def _delete(self, subshell_id: str) -> None:
        try:
            # What it has been sent is handled in turn, and is not over when its subshell goes meanwhile.
            await self._ask("shell", "kernel_info_request", {}, subshell_id)
            await self._ask("control", "delete_subshell_request", {"subshell_id": subshell_id})
        except InterpreterError:
            pass  # it ended, and the subshell with it
