"""`%session` and `%%session`: shells in the sandbox that keep their state, and commands in the background."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from ..client.models import Command, Session, SessionExecuteRequest
from ..errors import (
    DaytonaConflictError,
    DaytonaNotFoundError,
    DaytonaSessionEndedError,
    MagicUsageError,
)
from ..interpreter.launcher import SESSION_PREFIX
from .arguments import Expected, Option, Positional, Signature
from .log import follow_log
from .sh import TIMEOUT, finish
from .shell import background, session_shell
from .shell.foreground import run_in_foreground
from .shell.process_tree import new_tag
from .table import table
from .timing import Timings

_NAME = Positional("name", "the session's name", kind="session")
_COMMAND_ID = Positional(
    "command_id", "the command's id, as `run --async` and `list` show it", kind="command"
)

if TYPE_CHECKING:
    from ..client.sandbox import AsyncSandbox
    from .magic_call import MagicCall
    from .registry import Registry

_ASYNC = Option("async", "return at once, and show the log as it grows")
DEFAULT_SESSION = "default"

HELP = """Work with sessions: shells in the sandbox that keep their directory, variables and functions."""


def declare(registry: Registry) -> None:
    """Add `session` to a registry."""
    subcommand = registry.group("session", HELP)
    timings = Timings()
    registry.words("session", _session_names)
    registry.words("command", _command_ids)

    @subcommand("create", Signature((Positional("name", "the new session's name", optional=True),)))
    async def create(call: MagicCall, name: str | None) -> str | None:
        """Create a session; without a name it is given one, which is returned."""
        chosen, name = name, name or f"session-{secrets.token_hex(3)}"
        _refuse_own(name)
        process = (await call.sandbox()).process
        try:
            await process.create_session(name)
        except DaytonaConflictError:
            raise DaytonaConflictError(
                f"There is a session {name!r} already; use it, or %session delete {name} first."
            ) from None
        await call.print(f"Created session {name}.\n")
        return None if chosen else name

    @subcommand("list", Signature())
    async def list_(call: MagicCall) -> None:
        """List the sessions and their commands."""
        process = (await call.sandbox()).process
        sessions = [s for s in await process.list_sessions() if not s.session_id.startswith(SESSION_PREFIX)]
        await call.display(_table(sessions, timings))

    @subcommand("info", Signature((_NAME,)))
    async def info(call: MagicCall, name: str) -> None:
        """Show one session and its commands."""
        process = (await call.sandbox()).process
        try:
            await call.display(_table([await process.get_session(name)], timings))
        except DaytonaNotFoundError:
            raise _unknown_session(name) from None

    @subcommand("run", Signature((_NAME,), (_ASYNC, TIMEOUT), rest="command", rest_optional=False))
    async def run(call: MagicCall, name: str, command: str, timeout: int | None, **options: Any) -> Any:
        """Run a command in a session and show its output as it comes; with --async, return its id.

        An interrupt ends the command and keeps the session as it is, as far as a shell can: a loop of
        the shell's own is left, a command that heeds no signal is killed. `lines = %session run …`
        gives the lines of its stdout.
        """
        return await _run(call, timings, name, command, timeout, in_background=options["async"])

    @subcommand("%%", Signature((Positional("name", _NAME.help, True, "session"),), (_ASYNC, TIMEOUT)))
    async def run_cell(call: MagicCall, name: str | None, timeout: int | None, **options: Any) -> Any:
        """Run the cell as a script in a session; without a name in one that is there by itself."""
        script = (call.body or "").rstrip("\n")
        if not script.strip():
            raise MagicUsageError("There is no script to run below %%session.")
        name = name or DEFAULT_SESSION
        return await _run(call, timings, name, script, timeout, in_background=options["async"])

    @subcommand("command", Signature((_NAME, _COMMAND_ID)))
    async def command(call: MagicCall, name: str, command_id: str) -> None:
        """Show one command, whole, and its state."""
        process = (await call.sandbox()).process
        try:
            found = await process.get_session_command(name, command_id)
        except DaytonaNotFoundError as error:
            raise _unknown(error, name, command_id) from None
        took = timings.describe(name, command_id, running=found.exit_code is None)
        state = f"{_state(found)} ({took})" if took else _state(found)
        await call.print(f"{background.unwrap(found.command)}\n{state}\n")

    @subcommand(
        "logs",
        Signature(
            (_NAME, _COMMAND_ID), (Option("follow", "show the log as it grows, until the command ends"),)
        ),
    )
    async def logs(call: MagicCall, name: str, command_id: str, follow: bool) -> None:
        """Show what a command of a session has printed so far."""
        sandbox = await call.sandbox()
        try:
            command = await sandbox.process.get_session_command(name, command_id)
            if follow:
                started = timings.started(name, command_id)
                await follow_log(call, sandbox, name, command_id, command.command, started)
                return
            log = await sandbox.process.get_session_command_logs(name, command_id)
        except DaytonaNotFoundError as error:
            raise _unknown(error, name, command_id) from None
        await call.print(log.stdout)
        if log.stderr:
            await call.print(log.stderr, "stderr")

    @subcommand("input", Signature((_NAME, _COMMAND_ID), rest="text"))
    async def input_(call: MagicCall, name: str, command_id: str, text: str | None) -> None:
        """Send a line to the standard input of a running command."""
        process = (await call.sandbox()).process
        try:
            await process.send_session_command_input(name, command_id, (text or "") + "\n")
        except DaytonaNotFoundError as error:
            raise _unknown(error, name, command_id) from None

    @subcommand("stop", Signature((_NAME, _COMMAND_ID)))
    async def stop(call: MagicCall, name: str, command_id: str) -> None:
        """End a command of --async, and what it has started; the session stays as it is."""
        process = (await call.sandbox()).process
        try:
            await call.print(await background.stop(process, name, command_id) + "\n")
        except DaytonaNotFoundError as error:
            raise _unknown(error, name, command_id) from None

    @subcommand(
        "delete",
        Signature(
            (Positional("name", "the session's name", optional=True, kind="session"),),
            (Option("all", "delete every session"),),
        ),
    )
    async def delete(call: MagicCall, name: str | None, all: bool) -> None:
        """Delete a session, and end what runs in it."""
        process = (await call.sandbox()).process
        if all == (name is not None):
            raise MagicUsageError("Name one session, or say --all: %session delete NAME|--all.")
        if name is not None:
            _refuse_own(name)
            names = [name]
        else:
            names = [s.session_id for s in await process.list_sessions()]
            names = [each for each in names if not each.startswith(SESSION_PREFIX)]
        for each in names:
            try:
                await process.delete_session(each)
            except DaytonaNotFoundError:
                raise _unknown_session(each) from None
            await call.print(f"Deleted session {each}.\n")
        if not names:
            await call.print("There are no sessions.\n")


async def _run(
    call: MagicCall, timings: Timings, name: str, script: str, timeout: int | None, *, in_background: bool
) -> Any:
    _refuse_own(name)
    if in_background and timeout:
        raise MagicUsageError("--timeout is for a command that the cell waits for, and not for --async.")
    sandbox = await call.sandbox()
    try:
        try:
            return await _run_once(call, sandbox, timings, name, script, timeout, in_background)
        except DaytonaNotFoundError:
            if name != DEFAULT_SESSION:
                raise _unknown_session(name) from None
            await sandbox.process.create_session(name)
            return await _run_once(call, sandbox, timings, name, script, timeout, in_background)
    except DaytonaSessionEndedError:
        raise DaytonaSessionEndedError(
            f"The shell of session {name!r} has ended; %session delete {name}, and create it again."
        ) from None


async def _run_once(
    call: MagicCall,
    sandbox: AsyncSandbox,
    timings: Timings,
    name: str,
    script: str,
    timeout: int | None,
    in_background: bool,
) -> Any:
    process = sandbox.process
    if in_background:
        sent = background.wrap(script)
        answer = await process.execute_session_command(
            name, SessionExecuteRequest(command=sent, run_async=True)
        )
        timings.begin(name, answer.cmd_id)
        started = timings.started(name, answer.cmd_id)
        followed = await follow_log(call, sandbox, name, answer.cmd_id, sent, started)
        followed.add_done_callback(lambda _: timings.end(name, answer.cmd_id))
        return answer.cmd_id
    tag = new_tag()
    kept: list[str] = []

    async def print(text: str, stream: str) -> None:
        if call.assigned and stream == "stdout":
            kept.append(text)
        else:
            await call.print(text, stream)

    async def end() -> str:
        return await session_shell.leave(process, name, tag)

    status = await run_in_foreground(
        process,
        name,
        session_shell.wrap(tag, script),
        print=print,
        end=end,
        timings=timings,
        timeout=timeout,
    )
    if status != 0 and kept:
        await call.print("".join(kept))
    await finish(call, status, may_fail=False)
    return "".join(kept).splitlines() if call.assigned else None


async def _session_names(call: MagicCall, _expected: Expected) -> list[str]:
    sessions = await (await call.sandbox()).process.list_sessions()
    return [s.session_id for s in sessions if not s.session_id.startswith(SESSION_PREFIX)]


async def _command_ids(call: MagicCall, expected: Expected) -> list[str]:
    session = await (await call.sandbox()).process.get_session(expected.given["name"])
    return [command.id for command in reversed(session.commands)]


def _refuse_own(name: str) -> None:
    if name.startswith(SESSION_PREFIX):
        raise MagicUsageError(f"Names that begin with {SESSION_PREFIX!r} are the kernel's own.")


def _unknown_session(name: str) -> DaytonaNotFoundError:
    return DaytonaNotFoundError(
        f"There is no session {name!r}; %session list shows them, %session create {name} makes it."
    )


def _unknown(error: DaytonaNotFoundError, name: str, command_id: str) -> DaytonaNotFoundError:
    if "command" in error.message:
        return DaytonaNotFoundError(
            f"There is no command {command_id!r} in session {name!r}; %session list shows them."
        )
    return _unknown_session(name)


def _table(sessions: list[Session], timings: Timings) -> dict[str, str]:
    """The sessions as HTML and as text."""
    rows = []
    for session in sessions:
        if not session.commands:
            rows.append((session.session_id, "", "", "idle", ""))
        for index, command in enumerate(session.commands):
            running = command.exit_code is None
            rows.append(
                (
                    "" if index else session.session_id,
                    _shown(command),
                    command.id,
                    _state(command),
                    timings.describe(session.session_id, command.id, running=running),
                )
            )
    return table(
        ("Session", "Command", "Id", "State", "Duration"), rows, none="There are no sessions.", code=(1, 2)
    )


def _shown(command: Command) -> str:
    lines = background.unwrap(command.command).strip().splitlines() or [""]
    shown = lines[0] if len(lines) == 1 else lines[0] + " …"
    return shown if len(shown) <= 60 else shown[:59] + "…"


def _state(command: Command) -> str:
    return "running" if command.exit_code is None else f"exited {command.exit_code}"
