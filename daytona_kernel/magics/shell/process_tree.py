"""The end of a command in the sandbox: its shell, and all processes below the shell.

Daytona has no operation that ends a command. The text that is sent for a command therefore starts with a
prefix: it leaves the shell's process id in a file with a unique name (the tag), and marks the
environment of the shell's children with the tag. The script that ends the process tree looks for both.

The file has the process ids of the command's shell and of its session's shell. In a session the second one
removes the file. If both have ended and there is a file, the command has ended its session's shell.

It sends SIGINT first, as Ctrl-C does, then TERM, then KILL. Commands in a session's own shell need
another way; see `session_shell`.
"""

from __future__ import annotations

import re
import secrets
from enum import Enum
from typing import TYPE_CHECKING

from ...wait_limit import limited
from .variables import FILE, PLACE, TAKE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...client.process import AsyncProcess

CANCELED = "The command was still queued behind another one; it has been canceled."

# Seconds until a sandbox must have answered a script of this module.
ANSWER_SECONDS = limited(60.0)

# All descendants inherit this variable, also daemons.
_MARK = "DAYTONA_KERNEL_COMMAND"

# What surrounds a command prints to nowhere, so that `set -x` does not show it.
_BEGIN = (
    (
        "{ : TAG; (command set -C; > PLACE/.TAG) || [ ! -e PLACE/.TAG ] || "
        "{ command -p rm -f PLACE/.TAG FILE; command exit 130; }; "
        "TAKE; command export MARK=TAG; command echo $BASHPID $$ >| PLACE/.TAG; TRAP} >/dev/null 2>&1"
    )
    .replace("MARK", _MARK)
    .replace("TAKE", TAKE)
    .replace("FILE", FILE)
    .replace("PLACE", PLACE)
)
_REMOVE = "{ command -p rm -f PLACE/.TAG; } >/dev/null 2>&1".replace("PLACE", PLACE)
_LEAVE_PID = _BEGIN.replace("TRAP", f"command trap '{_REMOVE}' EXIT; ")
_IN_SUBSHELL = f"( {_BEGIN.replace('TRAP', '')}\n"
# The status of the command stays.
_AFTER_SUBSHELL = (
    r'{ builtin eval "builtin command -p rm -f \"\${DAYTONA_TMP:-/tmp}\"/.TAG; (builtin exit $?)"; }'
    " >/dev/null 2>&1"
)
_TAG = re.compile(r"(?:\( )?\{ : (daytona-[0-9a-f]{16});")

# Bash functions for scripts that look for processes. `note` puts the parent of a process into `parent`, and
# its state into `state`, but leaves out zombies, which count as ended. `grow` adds all processes below those
# in `found` to `found` and `order`. In `order`, a parent comes before its children.
GROW = r"""
note() {
    stat=
    { IFS= read -rd '' stat < "/proc/$1/stat"; } 2>/dev/null
    set -- "$1" ${stat##*) }
    [ -z "$stat" ] || [ "$2" = Z ] || parent[$1]=$3 state[$1]=$2
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
"""

# Each signal gets a second before the next one. The mark finds processes that left the tree (daemons,
# `setsid`), and a marked child finds the unmarked subshell above it. A process that was found once is
# remembered, since its parent may die first. Parents get a signal before their children: a shell whose
# command dies of INT before the shell gets INT itself runs its next command. If the command has not started,
# the script leaves `canceled` in the file in place of a process id.
_END = (
    r"""
file=PLACE/.TAG
declare -A found=() above=([0]=1 [1]=1)
order=()
if (set -C; echo canceled > "$file") 2>/dev/null; then
    # The shell has not started, or it has ended and perhaps left processes behind.
    grep -qsF MARK=TAG /proc/[0-9]*/environ || exit 3
else
    for _ in {1..100}; do
        read -r pid _ < "$file" && break
        sleep 0.05
    done 2>/dev/null
    case $pid in "" | canceled) exit 3;; esac
    found[$pid]=1 order=("$pid")
fi
set -f
GROW
look() {
    local each id
    local -A parent=() state=()
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
while stat=; [ -n "$id" ] && { IFS= read -rd '' stat < "/proc/$id/stat"; } 2>/dev/null; [ -n "$stat" ]; do
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
        # A process that is just starting has no mark yet, so look twice.
        [ ${#alive[@]} = 0 ] && sleep 0.05 && look && [ ${#alive[@]} = 0 ] && { rm -f "$file"; exit 0; }
    done
done
exit 1
""".replace("GROW", GROW)
    .replace("MARK", _MARK)
    .replace("PLACE", PLACE)
)

# A program that is not a shell leaves no process id, so the mark alone finds its processes.
_END_MARKED = (
    r"""
marked() { grep -ls "MARK=TAG" /proc/[0-9]*/environ | cut -d/ -f3; }
# The command may be just starting.
for _ in 1 2 3 4 5; do [ -n "$(marked)" ] && break; sleep 0.1; done
for signal in INT TERM KILL; do
    kill -$signal $(marked) 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        # A process that is just starting has no mark yet, so look twice.
        [ -z "$(marked)" ] && sleep 0.05 && [ -z "$(marked)" ] && exit 0
        sleep 0.1
    done
done
exit 1
"""
).replace("MARK", _MARK)


# Sets `lost` if both shells have ended without a chance to remove the file. A canceled command may never come
# and remove it, so nothing waits for that.
_READ_FILE = """
lost= shell=
read -r pid shell < PLACE/.TAG
[ "$pid" != canceled ] || exit 1
[ -z "$shell" ] || kill -0 "$pid" || kill -0 "$shell" || lost=1
[ -z "$lost" ] || { rm -f PLACE/.TAG; exit 5; }
"""
# Returns when the shell has removed its file. The mark tells whether anything is left of the command.
_WATCH = f"""
exec 2>/dev/null
while [ -e PLACE/.TAG ]; do {_READ_FILE} sleep 0.5; done
grep -qsF MARK=TAG /proc/[0-9]*/environ
""".replace("MARK", _MARK).replace("PLACE", PLACE)


class Fate(Enum):
    """The end of a command's script, as the sandbox tells it.

    ENDED: something of the command goes on. SHELL_ENDED: so has the shell of its session. UNKNOWN: perhaps it
    has not started, or nothing is left of it.
    """

    ENDED = "ended"
    SHELL_ENDED = "shell ended"
    UNKNOWN = "unknown"


# On a full disk, a shell that runs may have left no file.
_LOOK = f"""
exec 2>/dev/null
[ ! -e PLACE/.TAG ] || {{ {_READ_FILE} exit 1; }}
grep -qsF MARK=TAG /proc/[0-9]*/environ && exit 0
(: > PLACE/.TAG.look) && rm -f PLACE/.TAG.look && exit 4
exit 1
""".replace("MARK", _MARK).replace("PLACE", PLACE)


class Sight(Enum):
    """What is left of a command.

    LEFT_BEHIND: processes that its shell had started in the background. SHELL_ENDED: nothing that can tell
    its exit status, because the shell of its session has ended, too.
    """

    LEFT_BEHIND = 0
    RUNS = 1
    ENDED = 4
    SHELL_ENDED = 5


class Ending(Enum):
    """The result of ending a process tree. NOTHING: all of it had already ended, or will never start."""

    ENDED = 0
    LIVES = 1
    NOTHING = 3


def new_tag() -> str:
    """Return a unique name for one command."""
    return f"daytona-{secrets.token_hex(8)}"


def leave_pid(tag: str) -> str:
    """Return the prefix for the first line of a script that has its own shell.

    The prefix and `end` both create the file, and the first one wins: a queued command that finds the
    file of `end` does not start.
    """
    return _LEAVE_PID.replace("TAG", tag)


def in_subshell(tag: str) -> str:
    """Return the lines before a script that a session runs in a subshell, which `after_subshell` ends."""
    return _IN_SUBSHELL.replace("TAG", tag)


def after_subshell(tag: str, redirection: str = "") -> str:
    """Return the lines after a script that a session runs in a subshell, with a redirection for it."""
    return f"\n){redirection}\n{_AFTER_SUBSHELL.replace('TAG', tag)}"


def tag_of(script: str, prefix: Callable[[str], str]) -> str | None:
    """Return the tag of a script that starts with `prefix(tag)`; None for any other script."""
    match = _TAG.match(script)
    return match[1] if match is not None and script.startswith(prefix(match[1])) else None


def mark(tag: str) -> dict[str, str]:
    """Return the environment variable that `end_marked` looks for."""
    return {_MARK: tag}


async def end(process: AsyncProcess, tag: str) -> Ending:
    """End a shell that has left its process id, with its process tree."""
    answer = await process.exec(_END.replace("TAG", tag), request_timeout=ANSWER_SECONDS)
    return Ending(answer.exit_code) if answer.exit_code in (1, 3) else Ending.ENDED


async def watch(process: AsyncProcess, tag: str) -> Fate:
    """Wait until a shell that has left its process id has ended, and tell what is left of its tree."""
    answer = await process.exec(_WATCH.replace("TAG", tag))
    if answer.exit_code == Sight.SHELL_ENDED.value:
        return Fate.SHELL_ENDED
    return Fate.ENDED if answer.exit_code == 0 else Fate.UNKNOWN


async def look(process: AsyncProcess, tag: str) -> Sight:
    """Look at a shell that has left its process id, and at its process tree. Raises DaytonaError."""
    answer = await process.exec(_LOOK.replace("TAG", tag), request_timeout=ANSWER_SECONDS)
    return next((sight for sight in Sight if sight.value == answer.exit_code), Sight.RUNS)


async def forget(process: AsyncProcess, tag: str) -> None:
    """Remove the file that `end` left for a queued command, when that command will never look for it."""
    await process.exec(f"rm -f {PLACE}/.{tag} {FILE.replace('TAG', tag)}")


async def end_marked(process: AsyncProcess, tag: str) -> bool:
    """End all processes with the mark of a tag. Return whether they have ended."""
    answer = await process.exec(_END_MARKED.replace("TAG", tag))
    return answer.exit_code != 1
