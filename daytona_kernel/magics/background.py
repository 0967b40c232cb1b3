"""Commands in the background of a session, in a form that can be stopped without ending the session.

Daytona has no call that ends a command. So a command that is to run in the background is sent as a
subshell that leaves its process id in a file, and Stop is a script that ends the tree below that
process: SIGINT first, as Ctrl-C would, then TERM, then KILL. The session's shell, its directory and
its variables are untouched, also by `exit` in the command.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..client.process import AsyncProcess

STOPPED = "Stopped the command."

_WRAPPED = re.compile(
    r"\( : (daytona-[0-9a-f]{16}); echo \$BASHPID > /tmp/\.\1; trap 'rm -f /tmp/\.\1' EXIT\n(.*)\n\)\Z",
    re.DOTALL,
)

# Each signal gets a second before the next one.
_STOP = r"""
file=/tmp/.TAG
pid=$(cat "$file" 2>/dev/null) || exit 3
children_of() {
    for stat in /proc/[0-9]*/stat; do
        { read -r line < "$stat"; } 2>/dev/null || continue
        rest=${line##*) }
        set -- "$1" $rest
        [ "$3" = "$1" ] && { child=${stat#/proc/}; tree_of "${child%/stat}"; }
    done
}
tree_of() { echo "$1"; (children_of "$1"); }
for signal in INT TERM KILL; do
    tree=$(tree_of "$pid")
    kill -$signal $tree 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        alive=
        for each in $tree; do kill -0 "$each" 2>/dev/null && alive=1; done
        [ -z "$alive" ] && { rm -f "$file"; exit 0; }
        sleep 0.1
    done
done
exit 1
"""


def wrap(command: str) -> str:
    """Return what is sent to the session in the command's place."""
    tag = f"daytona-{secrets.token_hex(8)}"
    return f"( : {tag}; echo $BASHPID > /tmp/.{tag}; trap 'rm -f /tmp/.{tag}' EXIT\n{command}\n)"


def unwrap(command: str) -> str:
    """Return the command as its author wrote it."""
    match = _WRAPPED.match(command)
    return command if match is None else match[2]


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
    answer = await process.exec(_STOP.replace("TAG", match[1]))
    if answer.exit_code == 1:
        return "The command did not end: it may wait for a device. %session delete ends the whole session."
    return STOPPED
