"""The kernel's own knowledge of the commands in sessions: Daytona reports only their exit codes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ..formatting import format_duration

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ..client.models.sessions import Command

# How long a magic that reports a command's end waits for the end of its logs.
_SETTLING_SECONDS = 2.0


class CommandHistory:
    """The start, duration and logs of the commands that this kernel started, and whether each was stopped."""

    def __init__(self) -> None:
        self._starts: dict[tuple[str, str], float] = {}
        self._durations: dict[tuple[str, str], float] = {}
        self._stopped: set[tuple[str, str]] = set()
        self._ended_shells: set[str] = set()
        self._logs: dict[asyncio.Task[None], tuple[str, str]] = {}

    def start(self, session: str, command_id: str) -> None:
        """Note that a command was sent. It may still wait for the commands before it."""
        self._starts[session, command_id] = time.monotonic()

    def end(self, session: str, command_id: str) -> None:
        """Note that a command has ended."""
        start = self._starts.get((session, command_id))
        if start is not None:
            self._durations[session, command_id] = time.monotonic() - start

    def forget(self, session: str) -> None:
        """Forget the commands of a session that was deleted."""
        self._ended_shells.discard(session)
        self._stopped = {key for key in self._stopped if key[0] != session}
        for times in (self._starts, self._durations):
            for key in [key for key in times if key[0] == session]:
                del times[key]

    def stop(self, session: str, command_id: str) -> None:
        """Note that a command is being stopped on its author's request."""
        self._stopped.add((session, command_id))

    def end_shell(self, session: str) -> None:
        """Note that a session's shell has ended. A command that then has no exit code never gets one."""
        self._ended_shells.add(session)

    def has_ended(self, session: str) -> bool:
        """Return whether a session's shell has ended."""
        return session in self._ended_shells

    def follow(self, session: str, command_id: str, log: asyncio.Task[None]) -> None:
        """Note that a task shows a command's log."""
        self._logs[log] = (session, command_id)
        log.add_done_callback(self._logs.pop)

    async def settle(self, session: str, command_ids: Collection[str] | None = None) -> None:
        """Wait a moment until the notebook has the final logs of commands that have ended.

        A program that executes notebooks takes an update of an output only while a cell runs.

        command_ids: the commands; None for all of the session.
        """
        logs = [
            log
            for log, (shown_session, shown_id) in self._logs.items()
            if shown_session == session and (command_ids is None or shown_id in command_ids)
        ]
        if logs:
            await asyncio.wait(logs, timeout=_SETTLING_SECONDS)

    def was_stopped(self, session: str, command_id: str) -> bool:
        """Return whether a command was stopped on its author's request."""
        return (session, command_id) in self._stopped

    def started(self, session: str, command_id: str) -> float | None:
        """Return when a command started, in seconds since the epoch; None if that is unknown."""
        start = self._starts.get((session, command_id))
        return None if start is None else time.time() - (time.monotonic() - start)

    def in_order(self, session: str, commands: Iterable[Command]) -> list[Command]:
        """Return commands in the order of their starts. Daytona lists them in random order.

        Commands of other kernels come first, since their starts are unknown.
        """
        return sorted(commands, key=lambda command: self._starts.get((session, command.id), 0.0))

    def state(self, session: str, command: Command) -> str:
        """Return the state of a command in words."""
        if command.exit_code is None:
            return "no status" if self.has_ended(session) else "running"
        return "stopped" if self.was_stopped(session, command.id) else f"exited {command.exit_code}"

    def duration(self, session: str, command: Command) -> str:
        """Return a command's duration, or its elapsed time if it is running; "" if that is unknown."""
        key = (session, command.id)
        start, seconds = self._starts.get(key), self._durations.get(key)
        if command.exit_code is None and start is not None:
            seconds = time.monotonic() - start
        return "" if seconds is None else format_duration(seconds)
