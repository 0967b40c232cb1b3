"""Commands in the background of a session, in a form that can be stopped without ending the session.

A command that is to run in the background is sent as a subshell, whose tree Stop ends (see
process_tree). The session's shell, its directory and its variables are untouched, also by `exit` in
the command.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import process_tree

if TYPE_CHECKING:
    from ..client.process import AsyncProcess

STOPPED = "Stopped the command."

_WRAPPED = re.compile(
    r"\( : (daytona-[0-9a-f]{16}); echo \$BASHPID > /tmp/\.\1; trap '[^']*' EXIT\n(.*)\n\)\Z", re.DOTALL
)


def wrap(command: str) -> str:
    """Return what is sent to the session in the command's place."""
    return f"( {process_tree.leave_pid(process_tree.new_tag())}\n{command}\n)"


def unwrap(command: str) -> str:
    """Return the command as its author wrote it."""
    match = _WRAPPED.match(command)
    return process_tree.of_foreground(command) if match is None else match[2]


async def stop(process: AsyncProcess, session: str, command_id: str) -> str:
    """End a command and what it has started; return a sentence for the person who asked.

    Raises DaytonaNotFoundError for an unknown session or command.
    """
    command = await process.get_session_command(session, command_id)
    if command.exit_code is not None:
        return f"The command had ended already, with exit status {command.exit_code}."
    match = _WRAPPED.match(command.command)
    if match is None:
        return "This command cannot be stopped alone: it was not started by %session run --async."
    if not await process_tree.end(process, match[1]):
        return "The command did not end: it may wait for a device. %session delete ends the whole session."
    return STOPPED
