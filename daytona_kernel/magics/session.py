"""`%session` and `%%session`: shells in the sandbox that keep their state, and commands in the background."""

from __future__ import annotations

import secrets
from html import escape
from typing import Any

from ..client.models import Command, Session, SessionExecuteRequest
from ..errors import DaytonaConflictError, DaytonaNotFoundError, DaytonaSessionEndedError, MagicUsageError
from ..interpreter.launcher import SESSION_PREFIX
from . import background
from .arguments import Option, Positional, Signature
from .log import follow_log
from .registry import Call, Registry
from .sh import finish

_NAME = Positional("name", "the session's name")
_COMMAND_ID = Positional("command_id", "the command's id, as `run --async` and `list` show it")

_ASYNC = Option("async", "return at once, and show the log as it grows")
DEFAULT_SESSION = "default"

HELP = """Work with sessions: shells in the sandbox that keep their directory, variables and functions."""


def declare(registry: Registry) -> None:
    """Add `session` to a registry."""
    subcommand = registry.group("session", HELP)

    @subcommand("create", Signature((Positional("name", "the new session's name", optional=True),)))
    async def create(call: Call, name: str | None) -> str | None:
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
    async def list_(call: Call) -> None:
        """List the sessions and their commands."""
        process = (await call.sandbox()).process
        sessions = [s for s in await process.list_sessions() if not s.session_id.startswith(SESSION_PREFIX)]
        call.show(_table(sessions))

    @subcommand("info", Signature((_NAME,)))
    async def info(call: Call, name: str) -> None:
        """Show one session and its commands."""
        process = (await call.sandbox()).process
        try:
            call.show(_table([await process.get_session(name)]))
        except DaytonaNotFoundError:
            raise _unknown_session(name) from None

    @subcommand("run", Signature((_NAME,), (_ASYNC,), rest="command", rest_optional=False))
    async def run(call: Call, name: str, command: str, **options: Any) -> str | None:
        """Run a command in a session; with --async in the background, returning its id."""
        _refuse_own(name)
        return await _run(call, name, command, in_background=options["async"])

    @subcommand("%%", Signature((Positional("name", "the session's name", optional=True),), (_ASYNC,)))
    async def run_cell(call: Call, name: str | None, **options: Any) -> str | None:
        """Run the cell as a script in a session; without a name in one that is there by itself."""
        _refuse_own(name or "")
        script = (call.body or "").rstrip("\n")
        if not script.strip():
            raise MagicUsageError("There is no script to run below %%session.")
        if name is None:
            name = DEFAULT_SESSION
            try:
                await (await call.sandbox()).process.create_session(name)
            except DaytonaConflictError:
                pass
        return await _run(call, name, script, in_background=options["async"])

    @subcommand("command", Signature((_NAME, _COMMAND_ID)))
    async def command(call: Call, name: str, command_id: str) -> None:
        """Show one command, whole, and its state."""
        process = (await call.sandbox()).process
        try:
            found = await process.get_session_command(name, command_id)
        except DaytonaNotFoundError as error:
            raise _unknown(error, name, command_id) from None
        await call.print(f"{background.unwrap(found.command)}\n{_state(found)}\n")

    @subcommand(
        "logs",
        Signature(
            (_NAME, _COMMAND_ID), (Option("follow", "show the log as it grows, until the command ends"),)
        ),
    )
    async def logs(call: Call, name: str, command_id: str, follow: bool) -> None:
        """Show what a command of a session has printed so far."""
        sandbox = await call.sandbox()
        try:
            command = await sandbox.process.get_session_command(name, command_id)
            if follow:
                await follow_log(call, sandbox, name, command_id, command.command)
                return
            log = await sandbox.process.get_session_command_logs(name, command_id)
        except DaytonaNotFoundError as error:
            raise _unknown(error, name, command_id) from None
        await call.print(log.stdout)
        if log.stderr:
            await call.print(log.stderr, "stderr")

    @subcommand("input", Signature((_NAME, _COMMAND_ID), rest="text"))
    async def input_(call: Call, name: str, command_id: str, text: str | None) -> None:
        """Send a line to the standard input of a running command."""
        process = (await call.sandbox()).process
        try:
            await process.send_session_command_input(name, command_id, (text or "") + "\n")
        except DaytonaNotFoundError as error:
            raise _unknown(error, name, command_id) from None

    @subcommand("stop", Signature((_NAME, _COMMAND_ID)))
    async def stop(call: Call, name: str, command_id: str) -> None:
        """End a command of --async, and what it has started; the session stays as it is."""
        process = (await call.sandbox()).process
        try:
            await call.print(await background.stop(process, name, command_id) + "\n")
        except DaytonaNotFoundError as error:
            raise _unknown(error, name, command_id) from None

    @subcommand(
        "delete",
        Signature(
            (Positional("name", "the session's name", optional=True),),
            (Option("all", "delete every session"),),
        ),
    )
    async def delete(call: Call, name: str | None, all: bool) -> None:
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


async def _run(call: Call, name: str, script: str, *, in_background: bool) -> str | None:
    sandbox = await call.sandbox()
    sent = background.wrap(script) if in_background else script
    try:
        answer = await sandbox.process.execute_session_command(
            name, SessionExecuteRequest(command=sent, run_async=in_background)
        )
    except DaytonaSessionEndedError:
        raise DaytonaSessionEndedError(
            f"The shell of session {name!r} has ended; %session delete {name}, and create it again."
        ) from None
    except DaytonaNotFoundError:
        raise _unknown_session(name) from None
    if in_background:
        await follow_log(call, sandbox, name, answer.cmd_id, sent)
        return answer.cmd_id
    for text, stream in ((answer.stdout, "stdout"), (answer.stderr, "stderr")):
        if text:
            await call.print(text, stream)
    await finish(call, answer.exit_code, may_fail=False)
    return None


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


def _table(sessions: list[Session]) -> dict[str, str]:
    """The sessions as HTML and as text."""
    rows = [("Session", "Command", "Id", "State")]
    for session in sessions:
        commands: list[Command | None] = [*session.commands] or [None]
        for index, command in enumerate(commands):
            name = session.session_id if index == 0 else ""
            rows.append((name, *_row(command)))
    if not sessions:
        text = "There are no sessions."
        return {"text/plain": text, "text/html": f"<p>{text}</p>"}
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    text = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
    # `code` also keeps JupyterLab from reading the dollars of a command as a formula.
    cells = [
        [escape(name), f"<code>{escape(command)}</code>", f"<code>{escape(command_id)}</code>", escape(state)]
        for name, command, command_id, state in rows[1:]
    ]
    head = "".join(f'<th style="text-align:left">{each}</th>' for each in rows[0])
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in row) + "</tr>"
        for row in cells
    )
    html = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return {"text/plain": text, "text/html": html}


def _row(command: Command | None) -> tuple[str, str, str]:
    if command is None:
        return ("", "", "idle")
    lines = background.unwrap(command.command).strip().splitlines() or [""]
    shown = lines[0] if len(lines) == 1 else lines[0] + " …"
    shown = shown if len(shown) <= 60 else shown[:59] + "…"
    return (shown, command.id, _state(command))


def _state(command: Command) -> str:
    return "running" if command.exit_code is None else f"exited {command.exit_code}"
