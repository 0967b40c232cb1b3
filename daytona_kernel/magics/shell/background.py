"""Commands in the background of a session, in a form that can be stopped without ending the session.

A command that is to run in the background is sent as a subshell, whose tree Stop ends (see
process_tree). The session's shell, its directory and its variables are untouched, also by `exit` in
the command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import process_tree, session_shell
from .process_tree import NOT_BEGUN, Ending

if TYPE_CHECKING:
    from ...client.process import AsyncProcess

STOPPED = "Stopped the command."

_BEGIN, _END = "( ", "\n)"


def wrap(command: str) -> str:
    """Return what is sent to the session in the command's place."""
    return f"{_BEGIN}{process_tree.leave_pid(process_tree.new_tag())}\n{command}{_END}"


def unwrap(command: str) -> str:
    """Return the command as its author wrote it."""
    tag = _tag(command)
    if tag is None:
        return session_shell.unwrap(command)
    return command[len(f"{_BEGIN}{process_tree.leave_pid(tag)}\n") : -len(_END)]


async def stop(process: AsyncProcess, session: str, command_id: str) -> str:
    """End a command and what it has started; return a sentence for the person who asked.

    Raises DaytonaNotFoundError for an unknown session or command.
    """
    command = await process.get_session_command(session, command_id)
    if command.exit_code is not None:
        return _ended(command.exit_code)
    tag = _tag(command.command)
    if tag is None:
        return "This command cannot be stopped alone: it was not started by %session run --async."
    ending = await process_tree.end(process, tag)
    if ending is Ending.LIVES:
        return "The command did not end: it may wait for a device. %session delete ends the whole session."
    if ending is Ending.ENDED:
        return STOPPED
    command = await process.get_session_command(session, command_id)
    if command.exit_code is None:
        return NOT_BEGUN
    await process_tree.forget(process, tag)
    return _ended(command.exit_code)


def _tag(command: str) -> str | None:
    if not command.startswith(_BEGIN):
        return None
    return process_tree.tag_of(command.removeprefix(_BEGIN))


def _ended(exit_code: int) -> str:
    return f"The command had ended already, with exit status {exit_code}."
