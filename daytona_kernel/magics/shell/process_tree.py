"""Ending what a command has started in the sandbox: the tree of processes below its shell.

Daytona has no call that ends a command. So what is sent in a command's place first leaves its
shell's process id in a file, named by a tag that nobody else has, and a mark in its children's
environment; a script that ends the tree looks for both. Signals are SIGINT first, as Ctrl-C would,
then TERM, then KILL. What runs in a session's own shell is another matter: see session_shell.
"""

from __future__ import annotations

import re
import secrets
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...client.process import AsyncProcess

NOT_BEGUN = "The command had not begun: it waits for the one before it in its session, and will not run."

# Children inherit it, wherever they go.
_MARK = "DAYTONA_KERNEL_COMMAND"

# What `leave_pid` puts first.
_LEAVE_PID = (
    ": TAG; (set -C; : > /tmp/.TAG) 2>/dev/null || [ ! -e /tmp/.TAG ] || { rm -f /tmp/.TAG; exit 130; }; "
    "export MARK=TAG; echo $BASHPID 2>/dev/null >| /tmp/.TAG; trap 'rm -f /tmp/.TAG 2>/dev/null' EXIT"
).replace("MARK", _MARK)
_TAG = re.compile(r": (daytona-[0-9a-f]{16});")

# Each signal gets a second before the next one. Those who left the tree (a daemon, `setsid`) are found by
# their mark, and a subshell that has none by the children that it has; a process once found is
# remembered, since its parent may die first. A zombie has ended, whoever forgot to wait for it. Parents
# come first: a shell whose command dies of INT before it has heard of INT itself goes on to the next one.
_END = r"""
file=/tmp/.TAG
(set -C; : > "$file") 2>/dev/null && exit 3
for _ in {1..100}; do
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

# For what is no shell, the mark alone tells what belongs to it.
_END_MARKED = (
    r"""
marked() { grep -ls "MARK=TAG" /proc/[0-9]*/environ | cut -d/ -f3; }
# The command may have been sent a moment ago.
for _ in 1 2 3 4 5; do [ -n "$(marked)" ] && break; sleep 0.1; done
for signal in INT TERM KILL; do
    kill -$signal $(marked) 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -z "$(marked)" ] && exit 0
        sleep 0.1
    done
done
exit 1
"""
).replace("MARK", _MARK)


class Ending(Enum):
    """What became of what was to be ended. NOTHING: it had ended, or had not begun and will not."""

    ENDED = 0
    LIVES = 1
    NOTHING = 3


def new_tag() -> str:
    """Return a name for one command."""
    return f"daytona-{secrets.token_hex(8)}"


def leave_pid(tag: str) -> str:
    """Return what goes before the script of a shell of its own, on the script's first line.

    Whoever makes the file first decides: a command that still waits for the one before it, and finds
    that `end` was there already, does not begin.
    """
    return _LEAVE_PID.replace("TAG", tag)


def tag_of(script: str, begin: Callable[[str], str] = leave_pid) -> str | None:
    """Return the tag of what begins as `begin` says for that tag; None for anything else."""
    match = _TAG.match(script)
    return match[1] if match is not None and script.startswith(begin(match[1])) else None


def mark(tag: str) -> dict[str, str]:
    """Return a variable by which `end_marked` knows the processes that have inherited it."""
    return {_MARK: tag}


async def end(process: AsyncProcess, tag: str) -> Ending:
    """End a shell that has left its process id, and all that it has started."""
    answer = await process.exec(_END.replace("TAG", tag))
    return Ending(answer.exit_code) if answer.exit_code in (1, 3) else Ending.ENDED


async def forget(process: AsyncProcess, tag: str) -> None:
    """Remove what `end` has left for a shell that is to come, and now is known not to."""
    await process.exec(f"rm -f /tmp/.{tag}")


async def end_marked(process: AsyncProcess, tag: str) -> bool:
    """End what bears the mark of a tag. Return whether it is gone."""
    answer = await process.exec(_END_MARKED.replace("TAG", tag))
    return answer.exit_code != 1
