"""Ending what a command has started in the sandbox: the tree of processes below its shell.

Daytona has no call that ends a command. So what is sent in a command's place first leaves its
shell's process id in a file, named by a tag that nobody else has, and a script that ends the tree
looks there. Signals are SIGINT first, as Ctrl-C would, then TERM, then KILL.

A session's own shell must live on, with its directory and variables. Of a command in its foreground
only the children are ended, less the jobs that were there before; SIGINT to the shell itself runs a
trap that returns from the sourced script, which is how a loop of the shell's own is left.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..client.process import AsyncProcess

_FOREGROUND = re.compile(r": (daytona-[0-9a-f]{16}); trap .*?<<'\1'\n(.*)\n\1\n[^\n]*\Z", re.DOTALL)

_TREES = r"""
file=/tmp/.TAG
children_of() {
    for stat in /proc/[0-9]*/stat; do
        { read -r line < "$stat"; } 2>/dev/null || continue
        rest=${line##*) }
        set -- "$1" $rest
        [ "$3" = "$1" ] && { child=${stat#/proc/}; tree_of "${child%/stat}"; }
    done
}
tree_of() { case " $spared " in *" $1 "*) ;; *) echo "$1"; (children_of "$1");; esac; }
# The command may have been sent a moment ago.
for _ in 1 2 3 4 5; do [ -s "$file" ] && break; sleep 0.1; done
[ -s "$file" ] || exit 3
{ read -r shell; spared=$(tr '\n' ' '); } < "$file"
"""

# Each signal gets a second before the next one.
_END = (
    _TREES
    + r"""
tree=$shell
for signal in INT TERM KILL; do
    # A child that outlived the signal before may have outlived its parent too.
    tree=$(for each in $tree; do tree_of "$each"; done)
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
)

# For what is no shell: a variable of the environment tells what belongs to it.
_MARK = "DAYTONA_COMMAND"
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

# Functions of the shell's own are left one a signal, so there are several rounds.
_END_FOREGROUND = (
    _TREES
    + r"""
for signal in INT INT INT TERM TERM KILL KILL; do
    kill -$signal $(children_of "$shell") 2>/dev/null
    kill -INT "$shell" 2>/dev/null || { rm -f "$file"; exit 4; }
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -e "$file" ] || exit 0
        sleep 0.05
    done
done
exit 1
"""
)


def new_tag() -> str:
    """Return a name for one command."""
    return f"daytona-{secrets.token_hex(8)}"


def leave_pid(tag: str) -> str:
    """Return what goes before the script of a shell of its own, on the script's first line."""
    return f": {tag}; echo $BASHPID > /tmp/.{tag}; trap 'rm -f /tmp/.{tag} 2>/dev/null' EXIT"


def in_foreground(tag: str, script: str) -> str:
    """Return what runs a script in a session's own shell so that `end_foreground` can leave it."""
    return (
        f": {tag}; trap 'return 130' INT; {{ echo $$; jobs -p; }} > /tmp/.{tag}; "
        f"source /dev/stdin <<'{tag}'\n"
        f"{script}\n{tag}\n"
        f'eval "trap : INT; command rm -f /tmp/.{tag} 2>/dev/null; (exit $?)"'
    )


def of_foreground(command: str) -> str:
    """Return a script that `in_foreground` was given, or the command itself."""
    match = _FOREGROUND.match(command)
    return command if match is None else match[2]


def mark(tag: str) -> dict[str, str]:
    """Return a variable by which `end_marked` knows the processes that have inherited it."""
    return {_MARK: tag}


async def end(process: AsyncProcess, tag: str) -> bool:
    """End a shell that has left its process id, and all below it. Return whether they are gone."""
    answer = await process.exec(_END.replace("TAG", tag))
    return answer.exit_code != 1


async def end_foreground(process: AsyncProcess, tag: str) -> str:
    """Leave a command of `in_foreground`; return what a person must know of it, "" for nothing."""
    answer = await process.exec(_END_FOREGROUND.replace("TAG", tag))
    if answer.exit_code == 1:
        return "The command did not end: it goes on in its session. %session delete ends both."
    if answer.exit_code == 4:
        return "The shell of the session has ended with its command; %session delete it, and create it again."
    return ""


async def end_marked(process: AsyncProcess, tag: str) -> bool:
    """End what bears the mark of a tag. Return whether it is gone."""
    answer = await process.exec(_END_MARKED.replace("TAG", tag))
    return answer.exit_code != 1
