"""Commands in the background of a session, in a form that can be stopped without ending the session.

Daytona has no call that ends a command. So a command that is to run in the background is sent as a
subshell that leaves its process id in a file and a mark in its children's environment, and Stop is a
script that ends all of them: SIGINT first, as Ctrl-C would, then TERM, then KILL. The session's shell,
its directory and its variables are untouched, also by `exit` in the command.

Whoever makes that file first decides: a command that still waits for the one before it, and finds that
Stop was there already, does not begin.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from . import process_tree

if TYPE_CHECKING:
    from ..client.process import AsyncProcess

STOPPED = "Stopped the command."
NOT_BEGUN = "The command had not begun: it waits for the one before it in its session, and will not run."

_MARK = "DAYTONA_KERNEL_COMMAND"
_BEGIN = (
    "( : TAG; (set -C; : > /tmp/.TAG) 2>/dev/null || [ ! -e /tmp/.TAG ] || { rm -f /tmp/.TAG; exit 130; }; "
    "export MARK=TAG; echo $BASHPID 2>/dev/null >| /tmp/.TAG; trap 'rm -f /tmp/.TAG' EXIT\n"
).replace("MARK", _MARK)
_END = "\n)"
_TAG = re.compile(r"\( : (daytona-[0-9a-f]{16});")

# Each signal gets a second before the next one. Those who left the tree (a daemon, `setsid`) are found by
# their mark, and a subshell that has none by the children that it has; a process once found is
# remembered, since its parent may die first. A zombie has ended, whoever forgot to wait for it. Parents
# come first: a shell whose command dies of INT before it has heard of INT itself goes on to the next one.
_STOP = r"""
file=/tmp/.TAG
(set -C; : > "$file") 2>/dev/null && exit 3
for _ in 1 2 3 4 5 6 7 8 9 10; do
    read -r pid < "$file" && break
    sleep 0.05
done 2>/dev/null
[ -n "$pid" ] || exit 3
set -f
declare -A found=([$pid]=1) above=([0]=1 [1]=1)
order=("$pid")
note() {
    stat=
    { IFS= read -rd '' stat < "/proc/$1/stat"; } 2>/dev/null
    set -- "$1" ${stat##*) }
    [ -z "$stat" ] || [ "$2" = Z ] || parent[$1]=$3
}
grow() {
    local id grown=1
    while [ -n "$grown" ]; do
        grown=
        for id in "${!parent[@]}"; do
            [ -z "${found[$id]}" ] && [ -n "${found[${parent[$id]}]}" ] && found[$id]=1 order+=("$id") grown=1
        done
    done
}
look() {
    local each id
    local -A parent=()
    for each in $(set +f; echo /proc/[0-9]*); do note "${each#/proc/}"; done
    grow
    for each in $(set +f; grep -lsF MARK=TAG /proc/[0-9]*/environ); do
        id=${each//[!0-9]/}
        note "$id"
        while [ -n "${parent[$id]}" ] && [ -z "${above[$id]}${found[$id]}" ]; do
            found[$id]=1 order+=("$id")
            id=${parent[$id]}
        done
    done
    grow
    alive=()
    for id in "${order[@]}"; do
        [ -z "${parent[$id]}" ] || alive+=("$id")
    done
}
id=$pid
while stat=; { IFS= read -rd '' stat < "/proc/$id/stat"; } 2>/dev/null; [ -n "$stat" ]; do
    set -- ${stat##*) }
    id=$2
    above[$id]=1
done
for signal in INT TERM KILL; do
    look
    kill -$signal "${alive[@]}" 2>/dev/null
    for pause in 0.02 0.03 0.05 0.1 0.2 0.3 0.3; do
        sleep $pause
        look
        # One that is just being started bears no mark yet, so one look is not enough.
        [ ${#alive[@]} = 0 ] && sleep 0.05 && look && [ ${#alive[@]} = 0 ] && { rm -f "$file"; exit 0; }
    done
done
exit 1
""".replace("MARK", _MARK)


def wrap(command: str) -> str:
    """Return what is sent to the session in the command's place."""
    return f"{_BEGIN.replace('TAG', f'daytona-{secrets.token_hex(8)}')}{command}{_END}"


def unwrap(command: str) -> str:
    """Return the command as its author wrote it."""
    tag = _tag(command)
    if tag is None:
        return process_tree.of_foreground(command)
    return command[len(_BEGIN.replace("TAG", tag)) : -len(_END)]


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
    answer = await process.exec(_STOP.replace("TAG", tag))
    if answer.exit_code == 1:
        return "The command did not end: it may wait for a device. %session delete ends the whole session."
    if answer.exit_code != 3:
        return STOPPED
    command = await process.get_session_command(session, command_id)
    if command.exit_code is None:
        return NOT_BEGUN
    await process.exec(f"rm -f /tmp/.{tag}")
    return _ended(command.exit_code)


def _tag(command: str) -> str | None:
    match = _TAG.match(command)
    if match is None or not command.startswith(_BEGIN.replace("TAG", match[1])):
        return None
    return match[1]


def _ended(exit_code: int) -> str:
    return f"The command had ended already, with exit status {exit_code}."
