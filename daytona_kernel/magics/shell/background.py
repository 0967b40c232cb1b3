"""Background commands of a session, in a form that Stop can end without ending the session.

A background command is sent as a subshell, and Stop ends the subshell's process tree (see
`process_tree`). The session's shell keeps its directory and variables, even if the command runs `exit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import process_tree, session_shell
from .process_tree import CANCELED, Ending, Sight, after_subshell, in_subshell

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...client.process import AsyncProcess

STOPPED = "Stopped the command."


def wrap(tag: str, command: str) -> str:
    """Return the text that is sent to the session to run a command in the background."""
    return f"{in_subshell(tag)}{command}{after_subshell(tag)}"


def tag_of(command: str) -> str | None:
    """Return the tag of a sent command, of the foreground or the background; None for another command."""
    return _tag_of(command) or session_shell.tag_of_wrapped(command)


def unwrap(command: str) -> str:
    """Return a sent command as its author wrote it."""
    tag = _tag_of(command)
    if tag is None:
        return session_shell.unwrap(command)
    return command.removeprefix(in_subshell(tag)).removesuffix(after_subshell(tag))


async def has_lost_its_shell(process: AsyncProcess, command: str) -> bool:
    """Return whether a sent command and its session's shell have ended, so that it never gets an exit code.

    Raises DaytonaError.
    """
    tag = _tag_of(command)
    return tag is not None and await process_tree.look(process, tag) is Sight.SHELL_ENDED


async def stop(
    process: AsyncProcess, session: str, command_id: str, on_end: Callable[[], None] = lambda: None
) -> str:
    """End a background command with its process tree; return a sentence about the result.

    on_end: called before the command gets a signal.

    Raises DaytonaNotFoundError for an unknown session or command.
    """
    command = await process.get_session_command(session, command_id)
    if command.exit_code is not None:
        return _already_ended(command.exit_code)
    tag = _tag_of(command.command)
    if tag is None:
        return (
            "This command cannot be stopped alone: %session run --async did not start it. "
            "%session delete ends the whole session."
        )
    on_end()
    ending = await process_tree.end(process, tag)
    if ending is Ending.LIVES:
        return (
            "The command did not end, perhaps because it waits for a device. "
            "%session delete ends the whole session."
        )
    if ending is Ending.ENDED:
        return STOPPED
    command = await process.get_session_command(session, command_id)
    if command.exit_code is None:
        return CANCELED
    await process_tree.forget(process, tag)
    return _already_ended(command.exit_code)


def _tag_of(command: str) -> str | None:
    return process_tree.tag_of(command, in_subshell)


def _already_ended(exit_code: int) -> str:
    return f"The command had already ended, with exit status {exit_code}."
