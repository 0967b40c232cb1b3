"""A script in a session's own shell, which it can be made to leave while the shell lives on.

The shell sources the script. To leave it, the commands that it waits for are ended (see
process_tree), less the jobs that were there before, and the shell itself gets SIGINT. `return` in
that trap would be the obvious answer, and is none: bash leaves one function and goes on behind it,
and as it jumps out of whatever it was doing its table of jobs is wrong after some dozens of times,
or it spins. So the trap arms another one, for DEBUG: it runs before the next command, wherever that
is, and under `extdebug` its status 2 says that the function or the script is to be left. At the
shell's own level it disarms itself; a trap for DEBUG that the session had is lost then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .process_tree import NOT_BEGUN, Ending, forget, tag_of

if TYPE_CHECKING:
    from ...client.process import AsyncProcess

# `test` gives 2 for what is no number, and needs no process for that.
_LEAVE = "if ((${#BASH_SOURCE[@]})); then test x -eq 0 2>/dev/null; else trap - DEBUG; shopt -u extdebug; fi"
_ARM = (
    "_daytona_status=130 _daytona_options=${_daytona_options-$-}; "
    f"shopt -s extdebug; trap '\\''{_LEAVE}'\\'' DEBUG"
)
# `extdebug` sets two options besides, which the shell may have had, or not.
_DISARM = (
    "${_daytona_options+shopt -u extdebug; set -${_daytona_options//[!hBET]}; "
    "unset _daytona_status _daytona_options;}"
)

# Whoever makes the file first decides: a script that still waits for the one before it, and finds that it
# was given up, does not begin.
_WRAPPED = f"""\
: TAG; trap '{_ARM}' INT; if (set -C; : > /tmp/.TAG) 2>/dev/null || [ ! -e /tmp/.TAG ]; then \
{{ echo $$ $(jobs -p) >| /tmp/.TAG; }} 2>/dev/null; source /dev/stdin <<'TAG'
SCRIPT
TAG
else (exit 130); fi; \
eval "trap : INT; {_DISARM} command rm -f /tmp/.TAG 2>/dev/null; (exit ${{_daytona_status-$?}})"\
"""
_BEGIN, _END = _WRAPPED.split("SCRIPT")

# One interrupt is enough, unless it came to a shell that was just being started, or has a trap of its own.
_LEAVE_SCRIPT = r"""
file=/tmp/.TAG
(set -C; : > "$file") 2>/dev/null && exit 3
for _ in {1..100}; do
    read -r shell spared < "$file" && break
    [ -e "$file" ] || exit 0
    sleep 0.05
done 2>/dev/null
[ -n "$shell" ] || exit 3
children_of() {
    for stat in /proc/[0-9]*/stat; do
        { read -r line < "$stat"; } 2>/dev/null || continue
        rest=${line##*) }
        set -- "$1" $rest
        [ "$3" = "$1" ] && { child=${stat#/proc/}; tree_of "${child%/stat}"; }
    done
}
tree_of() { case " $spared " in *" $1 "*) ;; *) echo "$1"; (children_of "$1");; esac; }
for signal in INT INT TERM TERM KILL KILL; do
    children=$(children_of "$shell")
    # First the shell, or it goes on behind a pipeline whose end was no failure.
    kill -INT "$shell" 2>/dev/null || { rm -f "$file"; exit 4; }
    kill -$signal $children 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -e "$file" ] || exit 0
        sleep 0.05
    done
done
exit 1
"""


def wrap(tag: str, script: str) -> str:
    """Return what is sent to the session in the script's place, so that `leave` can find it."""
    return f"{_begin(tag)}{script}{_END.replace('TAG', tag)}"


def unwrap(command: str) -> str:
    """Return the script that `wrap` was given, or the command itself."""
    tag = tag_of(command, _begin)
    if tag is None:
        return command
    return command.removeprefix(_begin(tag)).removesuffix(_END.replace("TAG", tag))


async def leave(process: AsyncProcess, session: str, tag: str) -> str:
    """Make the session's shell leave a script; return what a person must know of it, "" for nothing."""
    answer = await process.exec(_LEAVE_SCRIPT.replace("TAG", tag))
    if answer.exit_code == Ending.LIVES.value:
        return "The command did not end: it goes on in its session. %session delete ends both."
    if answer.exit_code == 4:
        return "The shell of the session has ended with its command; %session delete it, and create it again."
    if answer.exit_code == Ending.NOTHING.value:
        commands = (await process.get_session(session)).commands
        # One that is not there is on its way, and must find the file.
        for command in [each for each in commands if each.command.startswith(_begin(tag))]:
            if command.exit_code is None:
                return NOT_BEGUN
            await forget(process, tag)
    return ""


def _begin(tag: str) -> str:
    return _BEGIN.replace("TAG", tag)
