"""Scripts that run in a session's own shell, and a way to make the shell leave one and stay alive.

The shell sources the script. To leave it, the kernel ends the script's child processes, except the jobs
that ran before the script, and sends SIGINT to the shell. The obvious trap for SIGINT, `return`, does not
work: bash leaves only one function and continues behind it. That jump also corrupts bash's job table after
some dozens of times, or makes bash spin.

The trap for SIGINT therefore sets a second trap, for DEBUG, which runs before the next command. With
`extdebug` set, its exit status 2 makes bash leave the current function or sourced script. At the level that
sources the script the trap removes itself; a trap for DEBUG that the session had is then lost. That level is
the shell's own in the embedded server. Daytona's daemon sources each command, so there it is one deeper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .process_tree import CANCELED, Ending, forget, tag_of

if TYPE_CHECKING:
    from ...client.process import AsyncProcess

# `test` returns 2 for a word that is not a number, without starting a process.
_LEAVE = (
    "if ((${#BASH_SOURCE[@]} > _daytona_depth)); then test x -eq 0 2>/dev/null; "
    "else trap - DEBUG; shopt -u extdebug; fi"
)
_ARM = (
    "_daytona_status=130 _daytona_options=${_daytona_options-$-}; "
    f"shopt -s extdebug; trap '\\''{_LEAVE}'\\'' DEBUG"
)
# `extdebug` also sets two other options, which are restored to the shell's own choice.
_DISARM = (
    "${_daytona_options+shopt -u extdebug; set -${_daytona_options//[!hBET]}; "
    "unset _daytona_status _daytona_options;}"
)

# The script and `leave` both create the file, and the first one wins: a queued script that finds the file
# of `leave` does not start.
_WRAPPED = f"""\
: TAG; trap '{_ARM}' INT; if (set -C; : > /tmp/.TAG) 2>/dev/null || [ ! -e /tmp/.TAG ]; then \
{{ echo $$ $(jobs -p) >| /tmp/.TAG; }} 2>/dev/null; \
_daytona_depth=${{#BASH_SOURCE[@]}}; source /dev/stdin <<'TAG'
SCRIPT
TAG
else (exit 130); fi; \
eval "trap : INT; unset _daytona_depth; {_DISARM} \
command rm -f /tmp/.TAG 2>/dev/null; (exit ${{_daytona_status-$?}})"\
"""
_BEGIN, _END = _WRAPPED.split("SCRIPT")

# The exit status of `_LEAVE_SCRIPT` if the shell is gone; the others are those of Ending.
_SHELL_ENDED = 4

# One interrupt is enough, unless the shell was just starting or the script has its own trap.
_LEAVE_SCRIPT = r"""
file=/tmp/.TAG
(set -C; echo canceled > "$file") 2>/dev/null && exit 3
for _ in {1..100}; do
    read -r shell spared < "$file" && break
    [ -e "$file" ] || exit 0
    sleep 0.05
done 2>/dev/null
case $shell in "" | canceled) exit 3;; esac
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
    # The shell comes first, or it would run the next command after a pipeline that ended well.
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
    """Return the text that is sent to the session to run a script that `leave` can find."""
    return f"{_begin(tag)}{script}{_END.replace('TAG', tag)}"


def unwrap(command: str) -> str:
    """Return the script inside a wrapped command, or the command itself if it is not wrapped."""
    tag = tag_of(command, _begin)
    if tag is None:
        return command
    return command.removeprefix(_begin(tag)).removesuffix(_END.replace("TAG", tag))


async def leave(process: AsyncProcess, session: str, tag: str) -> str:
    """Make the session's shell leave a script; return a sentence for the person, "" for none."""
    answer = await process.exec(_LEAVE_SCRIPT.replace("TAG", tag))
    if answer.exit_code == Ending.LIVES.value:
        return "The command did not end; it still runs in its session. %session delete ends both."
    if answer.exit_code == _SHELL_ENDED:
        return (
            "The shell of the session ended with the command; %session delete and create the session again."
        )
    if answer.exit_code == Ending.NOTHING.value:
        commands = (await process.get_session(session)).commands
        # A command that is not listed may still be on its way, and must then find the file.
        for command in [each for each in commands if each.command.startswith(_begin(tag))]:
            if command.exit_code is None:
                return CANCELED
            await forget(process, tag)
    return ""


def _begin(tag: str) -> str:
    return _BEGIN.replace("TAG", tag)
