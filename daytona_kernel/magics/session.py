"""`%session` and `%%session`: shells in the sandbox that keep their state, and commands in the background."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from ..errors import DaytonaConflictError, DaytonaNotFoundError, MagicUsageError
from ..wire.conventions import SESSION_PREFIX
from .command_history import CommandHistory
from .magic import cell_magic, completes, magic
from .options import TIMEOUT
from .reach import Reach
from .session_runs import DEFAULT_SESSION, SessionRuns, no_session, refuse_kernels_own
from .session_table import session_table
from .shell import background
from .shell.process_tree import CANCELED
from .shell.variables import discard
from .signature import Option, Positional, Signature

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..client.models.sessions import Command, Session
    from ..client.process import AsyncProcess
    from .arguments import Expected
    from .magic_call import MagicCall

_NAME = Positional("name", "the session's name", kind="session")
_OPTIONAL_NAME = Positional("name", "the session's name", optional=True, kind="session")
_COMMAND_ID = Positional(
    "command_id", "the command's id, as `run --async` and `list` show it", kind="command"
)
_ASYNC = Option("async", "return at once, and show the log as it grows")


class SessionMagic:
    """Work with sessions: shells in the sandbox that keep their directory, variables and functions."""

    def __init__(self) -> None:
        self._history = CommandHistory()
        self._runs = SessionRuns(self._history)

    @magic(
        "session create",
        Signature((Positional("name", "the new session's name", optional=True),)),
        Reach.SANDBOX,
    )
    async def create(self, call: MagicCall, name: str | None) -> str | None:
        """Create a session. Without NAME, choose a name; `name = %session create` assigns it."""
        chosen = name or f"session-{secrets.token_hex(3)}"
        refuse_kernels_own(chosen)
        process = (await call.sandbox()).process
        try:
            await process.create_session(chosen)
        except DaytonaConflictError:
            raise DaytonaConflictError(
                f"Session {chosen!r} already exists; use it, or run %session delete {chosen} first."
            ) from None
        if call.assigned:
            return chosen
        await call.print(f"Created session {chosen}.\n")
        return None

    @magic("session list", Signature(), Reach.SANDBOX, default=True)
    async def list_sessions(self, call: MagicCall) -> None:
        """List the sessions and their commands."""
        await self._show(call, await _user_sessions((await call.sandbox()).process))

    @magic("session info", Signature((_NAME,)), Reach.SANDBOX)
    async def show_session(self, call: MagicCall, name: str) -> None:
        """Show one session and its commands."""
        process = (await call.sandbox()).process
        try:
            session = await process.get_session(name)
        except DaytonaNotFoundError:
            raise no_session(name) from None
        await self._show(call, [session])

    @magic(
        "session run",
        Signature((_NAME,), (_ASYNC, TIMEOUT), rest="command", rest_optional=False),
        Reach.SANDBOX,
    )
    async def run(self, call: MagicCall, name: str, command: str, async_: bool, timeout: int | None) -> Any:
        """Run a command in a session and show its output as it appears.

        `job = %session run … --async` assigns the command's id.
        An interrupt ends the command and keeps the session's state: the shell leaves a running loop,
        and a command that ignores all signals is killed. `lines = %session run …` assigns the lines of
        stdout.
        """
        return await self._runs.run(call, name, command, timeout, in_background=async_)

    @cell_magic("session", Signature((_OPTIONAL_NAME,), (_ASYNC, TIMEOUT)), Reach.SANDBOX)
    async def run_cell(self, call: MagicCall, name: str | None, async_: bool, timeout: int | None) -> Any:
        """Run the cell as a script in a session; without NAME, in the default session."""
        script = (call.body or "").rstrip("\n")
        if not script.strip():
            raise MagicUsageError("There is no script to run: put it below the line %%session.")
        return await self._runs.run(call, name or DEFAULT_SESSION, script, timeout, in_background=async_)

    @magic("session command", Signature((_NAME, _COMMAND_ID)), Reach.SANDBOX)
    async def show_command(self, call: MagicCall, name: str, command_id: str) -> None:
        """Show the full text of a command and its state."""
        process = (await call.sandbox()).process
        try:
            found = await process.get_session_command(name, command_id)
        except DaytonaNotFoundError as error:
            raise _not_found(error, name, command_id) from None
        await self._settle(name, [found])
        state, duration = self._history.state(name, found), self._history.duration(name, found)
        state = f"{state} ({duration})" if duration else state
        await call.print(f"{background.unwrap(found.command)}\n{state}\n")

    @magic(
        "session logs",
        Signature(
            (_NAME, _COMMAND_ID), (Option("follow", "show the log as it grows, until the command ends"),)
        ),
        Reach.SANDBOX,
    )
    async def show_logs(self, call: MagicCall, name: str, command_id: str, follow: bool) -> None:
        """Show the output of a command so far."""
        sandbox = await call.sandbox()
        try:
            command = await sandbox.process.get_session_command(name, command_id)
            if follow:
                await self._runs.follow(call, sandbox, name, command_id, command.command)
                return
            log = await sandbox.process.get_session_command_logs(name, command_id)
        except DaytonaNotFoundError as error:
            raise _not_found(error, name, command_id) from None
        await self._settle(name, [command])
        await call.print(log.stdout)
        if log.stderr:
            await call.print(log.stderr, "stderr")

    @magic("session input", Signature((_NAME, _COMMAND_ID), rest="text"), Reach.SANDBOX)
    async def send_input(self, call: MagicCall, name: str, command_id: str, text: str) -> None:
        """Send a line to the standard input of a running command."""
        process = (await call.sandbox()).process
        try:
            await process.send_session_command_input(name, command_id, text + "\n")
        except DaytonaNotFoundError as error:
            raise _not_found(error, name, command_id) from None

    @magic("session stop", Signature((_NAME, _COMMAND_ID)), Reach.SANDBOX)
    async def stop_command(self, call: MagicCall, name: str, command_id: str) -> None:
        """End a background command with everything that it started. The session stays as it is."""
        process = (await call.sandbox()).process
        try:
            result = await background.stop(
                process, name, command_id, on_end=lambda: self._history.stop(name, command_id)
            )
        except DaytonaNotFoundError as error:
            raise _not_found(error, name, command_id) from None
        if result in (background.STOPPED, CANCELED):
            await self._history.settle(name, [command_id])
        await call.print(result + "\n")

    @magic(
        "session delete",
        Signature((_OPTIONAL_NAME,), (Option("all", "delete every session"),)),
        Reach.SANDBOX,
    )
    async def delete(self, call: MagicCall, name: str | None, all_: bool) -> None:
        """Delete a session and end its commands."""
        process = (await call.sandbox()).process
        if all_ == (name is not None):
            raise MagicUsageError("Name one session, or all of them: %session delete NAME|--all.")
        if name is not None:
            refuse_kernels_own(name)
            names = [name]
        else:
            names = [session.session_id for session in await _user_sessions(process)]
        for each in names:
            try:
                waiting = await _waiting_tags(process, each) if call.kernel_sandbox.secrets.were_given else []
                await process.delete_session(each)
            except DaytonaNotFoundError:
                raise no_session(each) from None
            await discard(process, waiting)
            await self._history.settle(each)
            self._history.forget(each)
            await call.print(f"Deleted session {each}.\n")
        if not names:
            await call.print("There are no sessions.\n")

    @completes("session", Reach.SANDBOX)
    async def session_names(self, call: MagicCall, _expected: Expected) -> list[str]:
        """Return the names of the user's sessions."""
        return [session.session_id for session in await _user_sessions((await call.sandbox()).process)]

    @completes("command", Reach.SANDBOX)
    async def command_ids(self, call: MagicCall, expected: Expected) -> list[str]:
        """Return the ids of a session's commands, the latest first."""
        session = await (await call.sandbox()).process.get_session(expected.given["name"])
        commands = self._history.in_order(session.session_id, session.commands)
        return [command.id for command in reversed(commands)]

    async def _show(self, call: MagicCall, sessions: list[Session]) -> None:
        """Show sessions and their commands as a table."""
        await asyncio.gather(*(self._settle(each.session_id, each.commands) for each in sessions))
        await call.display(session_table(sessions, self._history))

    async def _settle(self, name: str, commands: Iterable[Command]) -> None:
        """Wait a moment for the final logs of commands of which the cell will say that they have ended."""
        await self._history.settle(name, [each.id for each in commands if each.exit_code is not None])


async def _user_sessions(process: AsyncProcess) -> list[Session]:
    """Return the sessions without the kernel's own ones, by name."""
    found = [each for each in await process.list_sessions() if not each.session_id.startswith(SESSION_PREFIX)]
    return sorted(found, key=lambda session: session.session_id)


async def _waiting_tags(process: AsyncProcess, name: str) -> list[str]:
    """Return the tags of a session's commands that have not ended, and perhaps not taken their variables."""
    unfinished = [each for each in (await process.get_session(name)).commands if each.exit_code is None]
    return [tag for each in unfinished if (tag := background.tag_of(each.command)) is not None]


def _not_found(error: DaytonaNotFoundError, name: str, command_id: str) -> DaytonaNotFoundError:
    if "command" in error.message:
        return DaytonaNotFoundError(
            f"There is no command {command_id!r} in session {name!r}; %session list shows the commands."
        )
    return no_session(name)
