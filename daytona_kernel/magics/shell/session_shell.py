"""Scripts that run in a session's own shell, and a way to make the shell leave one and stay alive.

The shell sources the script. To leave it, the kernel ends the script's child processes, except the jobs
that ran before the script, and sends SIGINT to the shell. The obvious trap for SIGINT, `return`, does not
work: bash leaves only one function and continues behind it. That jump also corrupts bash's job table after
some dozens of times, or makes bash spin.

The trap for SIGINT therefore sets a second trap, for DEBUG, which runs before the next command. With
`extdebug` set, its exit status 2 makes bash leave the current function or sourced script. At the level that
sources the script the trap removes itself. That level is the shell's own in the embedded server. Daytona's
daemon sources each command, so there it is one deeper.

The session's own traps for DEBUG, ERR and RETURN are set only while its scripts run, so that they do not run
for the lines around a script. The command that removes them after a script also keeps them in a variable for
the next one. A trap for DEBUG runs once for that command, because bash has no other way to remove it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .process_tree import CANCELED, GROW, Ending, Fate, forget, tag_of
from .variables import FILE, PLACE, TAKE

if TYPE_CHECKING:
    from ...client.process import AsyncProcess

# `test` returns 2 for a word that is not a number, without starting a process.
_LEAVE = (
    "{ if ((${#BASH_SOURCE[@]} > _daytona_depth)); then builtin test x -eq 0; "
    "else builtin trap - DEBUG; builtin shopt -u extdebug; fi; } 2>/dev/null"
)
# One command, with the assignments in its expansions. DEBUG is kept last, so that it does not run when the
# others are set again.
_PARK = (
    'builtin trap - DEBUG ERR RETURN <<<"CODE${_daytona_parked='
    '$({ builtin trap -p RETURN ERR DEBUG >&3; } 3>&1 >/dev/null 2>&1)}"'
)
_PARK_WITH_CODE = _PARK.replace("CODE", "${_daytona_code:=$?}")
# In a function, `trap -p` may not show the session's traps; then they are as before the script.
_ARM = (
    f"{{ {_PARK.replace('CODE', '')}; "
    "((${#BASH_SOURCE[@]} <= _daytona_depth + 1)) || _daytona_parked=$_daytona_before; "
    f"_daytona_status=130 _daytona_options=${{_daytona_options-$-}}; "
    f"builtin shopt -s extdebug; builtin trap '\\''{_LEAVE}'\\'' DEBUG; }} >/dev/null 2>&1"
)
# `extdebug` also sets two other options, which are restored to the shell's own choice.
_DISARM = (
    "if [[ -n ${_daytona_options-} ]]; then builtin shopt -u extdebug; "
    "_daytona_options=${_daytona_options//[!hBET]}; "
    "[[ -z $_daytona_options ]] || builtin set -$_daytona_options; fi"
)
# The shell prints the lines that it reads before any of them can turn that off, so `set -v` is off between
# scripts.
_QUIET = (
    "if [[ $- = *v* ]]; then builtin set +v; "
    '_daytona_parked="builtin set -v; ${_daytona_parked-}"; fi; '
    "[[ -n ${_daytona_parked-} ]] || builtin unset _daytona_parked"
)
# What was parked comes back in front of the script's first line, so that all lines keep their numbers. That
# line has then been read, so it is printed here for `set -v`. `set -x` would trace what runs the script.
_RESUME = (
    "_daytona_before=${_daytona_parked-}; "
    '_daytona_resume="builtin unset _daytona_script _daytona_resume _daytona_parked; ${_daytona_parked-}"; '
    'if [[ $- = *x* ]]; then builtin set +x; _daytona_resume="builtin set -x; $_daytona_resume"; fi; '
    '[[ ${_daytona_parked-} != "builtin set -v;"* ]] || '
    "builtin printf '%s\\n' \"${_daytona_script%%$'\\n'*}\" >&199"
)
_RUN = (
    'builtin eval "{ builtin eval \\"\\$_daytona_resume\\"; } >/dev/null 2>&1; ${_daytona_script-}"; '
    f"{{ {_PARK_WITH_CODE}; }} >/dev/null 2>&1"
)
_NAMES = " ".join(
    f"_daytona_{each}" for each in ("depth", "code", "status", "options", "script", "resume", "before")
)

# The script and `leave` both create the file, and the first one wins: a queued script that finds the file
# of `leave` does not start. Only the script has the command's streams, which are kept in descriptors that
# nobody else uses. The rest prints to nowhere, so that options and traps of the session, such as `set -x` and
# ERR, show nothing of it. A script that returns has not parked the traps.
_WRAPPED = (
    f"""\
{{ : TAG; _daytona_depth=${{#BASH_SOURCE[@]}}; builtin trap '{_ARM}' INT; \
if (builtin set -C; > PLACE/.TAG) || [[ ! -e PLACE/.TAG ]]; then \
builtin echo $$ $(builtin jobs -p) >| PLACE/.TAG; TAKE; builtin mapfile -td '' _daytona_script <<'TAG'
SCRIPT
TAG
{_RESUME}; builtin source /dev/stdin >&198 2>&199 198>&- 199>&- <<<'{_RUN}'
{_PARK_WITH_CODE}; fi; builtin trap : INT; {_QUIET}; {_DISARM}; \
builtin command -p rm -f PLACE/.TAG FILE; \
builtin eval "builtin unset {_NAMES}; (builtin exit ${{_daytona_status-${{_daytona_code-130}}}})"; \
}} 198>&1 199>&2 >/dev/null 2>&1""".replace("TAKE", TAKE)
    .replace("FILE", FILE)
    .replace("PLACE", PLACE)
)
_BEGIN, _END = _WRAPPED.split("SCRIPT")

# The exit status of the scripts below if the shell is gone; the others are those of Ending.
_SHELL_ENDED = 4

# One interrupt is enough, unless the shell was just starting or the script has its own trap.
_LEAVE_SCRIPT = r"""
exec 2>/dev/null
file=PLACE/.TAG
(set -C; echo canceled > "$file") && exit 3
for _ in {1..100}; do
    read -r shell spared < "$file" && break
    [ -e "$file" ] || exit 0
    sleep 0.05
done
case $shell in "" | canceled) exit 3;; esac
GROW
# All processes below the shell, without the jobs that ran before the script. `moving` tells whether one of
# them, or the shell, has not stopped.
look() {
    local each
    local -A parent=() state=() found=([$shell]=1)
    order=() moving=
    for each in /proc/[0-9]*; do note "${each#/proc/}"; done
    for each in $spared; do unset "parent[$each]"; done
    grow
    for each in $shell "${order[@]}"; do [[ ${state[$each]} = [Tt] ]] || moving=1; done
}
# Keeps those of `children` that have not ended.
remain() {
    local each
    local -A parent=() state=()
    for each in $children; do note "$each"; done
    children=${!parent[*]}
}
for signal in INT INT TERM TERM KILL KILL; do
    if [ -e "$file" ]; then
        # Nothing runs while the signals are sent, or a process could start another one and end. A process
        # that is just starting another one stops after that.
        kill -STOP "$shell" || { rm -f "$file"; exit 4; }
        children=
        for _ in {1..20}; do  # a fork bomb may go on
            look
            if [ "${order[*]}" = "$children" ]; then
                [ -n "$moving" ] || break
                sleep 0.05
            fi
            children=${order[*]}
            kill -STOP $children
        done
        # The shell goes on last. It has its signal then, and does not run the command after a pipeline.
        kill -INT "$shell"
        kill -$signal $children
        kill -CONT $children "$shell"
    else
        kill -$signal $children
    fi
    for _ in {1..10}; do
        if [ ! -e "$file" ]; then
            [ $signal != INT ] || exit 0
            # Bash loses a signal that it gets just before it becomes another program.
            remain
            [ -n "$children" ] || exit 0
        fi
        sleep 0.05
    done
done
[ ! -e "$file" ]
""".replace("GROW", GROW).replace("PLACE", PLACE)

# Ends when the script has removed its file, or its shell has ended. A script that waits has no file yet.
_WATCH_SCRIPT = r"""
file=PLACE/.TAG
read -r shell spared 2>/dev/null < "$file" || exit 3
case $shell in "" | canceled) exit 3;; esac
while [ -e "$file" ]; do
    kill -0 "$shell" 2>/dev/null || { rm -f "$file"; exit 4; }
    sleep 0.5
done
""".replace("PLACE", PLACE)


def wrap(tag: str, script: str) -> str:
    """Return the text that is sent to the session to run a script that `leave` can find."""
    return f"{_begin(tag)}{script}{_END.replace('TAG', tag)}"


def tag_of_wrapped(command: str) -> str | None:
    """Return the tag of a wrapped command; None for another command."""
    return tag_of(command, _begin)


def unwrap(command: str) -> str:
    """Return the script inside a wrapped command, or the command itself if it is not wrapped."""
    tag = tag_of_wrapped(command)
    if tag is None:
        return command
    return command.removeprefix(_begin(tag)).removesuffix(_END.replace("TAG", tag))


async def watch(process: AsyncProcess, session: str, tag: str) -> Fate:
    """Wait until a script or its shell has ended, and tell which. The fate of a queued script is unknown."""
    answer = await process.exec(_WATCH_SCRIPT.replace("TAG", tag))
    if answer.exit_code == 0:
        return Fate.ENDED
    if answer.exit_code == _SHELL_ENDED:
        return Fate.SHELL_ENDED
    unfinished = [each for each in (await process.get_session(session)).commands if each.exit_code is None]
    is_last = len(unfinished) == 1 and unfinished[0].command.startswith(_begin(tag))
    return Fate.ENDED if is_last else Fate.UNKNOWN


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
