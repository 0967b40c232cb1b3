"""Leaving a script in a session's own shell: the rest of the script is skipped, the shell is unchanged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from daytona_kernel import SessionExecuteRequest
from daytona_kernel.magics.shell import session_shell
from daytona_kernel.magics.shell.process_tree import CANCELED, new_tag
from tests.conftest import both_profiles

from .commands import exit_code, list_tmp, wait_for_output

if TYPE_CHECKING:
    from daytona_kernel.client.process import AsyncProcess

pytestmark = pytest.mark.anyio

# Each script runs forever, and prints `on` if the shell leaves only a part of it.
SCRIPTS = [
    "sleep 900; echo on",
    "sleep 900 | cat; echo on",
    "x=$(sleep 900); echo on",
    "read x < <(sleep 900); echo on",
    "if sleep 900; then echo on; fi; echo on",
    "! sleep 900; echo on",
    "while :; do sleep 0.05; done; echo on",
    "while ((1)); do ((n++)); done; echo on",
    "until [[ a == b ]]; do :; done; echo on",
    "for each in 1 2 3; do sleep 900; done; echo on",
    "seq 3 | while read n; do sleep 900; done; echo on",
    "inner() { while :; do :; done; echo on; }; outer() { inner; echo on; }; outer; echo on",
    "inner() { local x; x=$(sleep 900) || echo on; }; inner || echo on; echo on",
    "source <(echo 'while :; do sleep 0.05; done; echo on'); echo on",
    "wait; echo on",
]
STATE = "pwd; trap; shopt; echo $-; set -o; jobs; compgen -v | grep daytona; ls -A /tmp"


async def send(process: AsyncProcess, tag: str, script: str) -> str:
    """Send a script to the session."""
    request = SessionExecuteRequest(session_shell.wrap(tag, script), run_async=True)
    return (await process.execute_session_command("s", request)).cmd_id


async def ask(process: AsyncProcess, script: str) -> str:
    """Run an unwrapped script in the session, and return its output."""
    return (await process.execute_session_command("s", SessionExecuteRequest(script))).stdout or ""


async def leave(process: AsyncProcess, script: str) -> tuple[int | None, str]:
    """Leave a script after its first output; return its status and its output."""
    tag = new_tag()
    command = await send(process, tag, f"echo up; {script}")
    await wait_for_output(process, command)
    assert await session_shell.leave(process, "s", tag) == "", script
    status = await exit_code(process, command)
    return status, (await process.get_session_command_logs("s", command)).stdout


@both_profiles
@pytest.mark.parametrize("options", ["-hB", "-ET", "+hB"])
async def test_the_shell_leaves_the_whole_script(process: AsyncProcess, options: str) -> None:
    await ask(process, f"set {options}; sleep 901 >/dev/null 2>&1 &")
    await ask(process, session_shell.wrap(new_tag(), "true"))
    state = await ask(process, STATE)
    assert "sleep 901" in state
    for script in SCRIPTS:
        assert (script, *await leave(process, script)) == (script, 130, "up\n")
        assert await ask(process, STATE) == state, script


_FUNCTIONS = "source eval trap set unset exec exit shopt jobs test read echo rm"
# A session's first command and its second one; and the output of the second, without the signs of `set -x`.
UNSEEN = {
    "set -x": ("set -x", "echo a; (exit 3)", "a\n", "echo a\nexit 3\n"),
    "set -v": ("set -v", "echo a; (exit 3)", "a\n", "echo a; (exit 3)\n"),
    "functions": (
        f'for name in {_FUNCTIONS}; do builtin eval "$name() {{ builtin echo mine; }}"; done',
        "builtin echo a; (builtin exit 3)",
        "a\n",
        "",
    ),
}


@both_profiles
@pytest.mark.parametrize(("first", "second", "stdout", "stderr"), UNSEEN.values(), ids=UNSEEN)
async def test_options_traps_and_functions_of_the_session_do_not_see_what_surrounds_a_script(
    process: AsyncProcess, profile: str, first: str, second: str, stdout: str, stderr: str
) -> None:
    assert await exit_code(process, await send(process, new_tag(), first)) == 0
    command = await send(process, new_tag(), second)
    assert await exit_code(process, command) == 3
    logs = await process.get_session_command_logs("s", command)
    # The daemon's own line shows that it sources the command.
    own = {"own": "", "daytona": r"^\+ \. .*\n"}[profile]
    printed = re.sub(r"^\++ ", "", re.sub(own, "", logs.stderr), flags=re.MULTILINE)
    assert (logs.stdout, printed) == (stdout, stderr)


# Commands of a session, which print what a bash prints that reads them as its lines.
_LINES = [
    "f() { echo in; false; }; f; echo $(echo b)",
    "(exit 3); false || :",
    "source <(echo 'echo c')",
    ":",
]
_TRAPS = {
    name: f"trap 'echo {name.lower()} $? ${{BASH_COMMAND@Q}}' {name}" for name in ("DEBUG", "ERR", "RETURN")
}
TRAPPED = {
    **{name: [trap, *_LINES, f"trap -p {name}; trap - {name}", *_LINES] for name, trap in _TRAPS.items()},
    "all": ["; ".join(_TRAPS.values()), *_LINES, "trap -p DEBUG ERR RETURN"],
    "functrace and errtrace": ["set -TE; " + "; ".join(_TRAPS.values()), *_LINES, "set +TE", *_LINES],
}


@both_profiles
@pytest.mark.parametrize("commands", TRAPPED.values(), ids=TRAPPED)
async def test_traps_run_for_the_lines_of_the_session_as_in_a_plain_bash(
    process: AsyncProcess, commands: list[str]
) -> None:
    plain = await process.exec("\n".join(["bash 2>/dev/null <<'END'", *commands, "END"]))
    shown = [await ask(process, session_shell.wrap(new_tag(), each)) for each in commands]
    assert "".join(shown) == plain.result
    assert await ask(process, "true") == ""  # nor do they run for the lines of another client


@both_profiles
async def test_traps_are_kept_when_the_shell_leaves_a_script(process: AsyncProcess) -> None:
    traps = ["trap -- 'x=1' DEBUG", "trap -- 'x=2' ERR", "trap -- 'x=3' RETURN"]
    await ask(process, session_shell.wrap(new_tag(), "; ".join(traps)))
    shown = session_shell.wrap(new_tag(), "trap -p DEBUG ERR RETURN")
    for script in ("while :; do :; done", "f() { while :; do :; done; }; f"):
        assert await leave(process, script) == (130, "up\n")
        assert (await ask(process, shown)).splitlines() == traps
    assert await ask(process, session_shell.wrap(new_tag(), "return 5")) == ""
    assert (await ask(process, shown)).splitlines() == traps


async def test_a_command_that_ignores_signals_is_killed(process: AsyncProcess) -> None:
    assert await leave(process, "trap '' INT; bash -c 'trap \"\" TERM; sleep 900; sleep 900'") == (
        137,
        "up\n",
    )


async def test_a_queued_script_is_canceled(process: AsyncProcess) -> None:
    before = await list_tmp(process)
    first = (
        await process.execute_session_command("s", SessionExecuteRequest("read; echo done", run_async=True))
    ).cmd_id
    tag = new_tag()
    second = await send(process, tag, "touch /tmp/started")
    for _ in range(2):
        assert await session_shell.leave(process, "s", tag) == CANCELED
    await process.send_session_command_input("s", first, "\n")
    assert await exit_code(process, second) == 130
    assert await session_shell.leave(process, "s", tag) == ""
    assert await list_tmp(process) == before


async def test_a_script_that_arrives_after_its_interrupt_does_not_run(process: AsyncProcess) -> None:
    before = await list_tmp(process)
    tag = new_tag()
    assert await session_shell.leave(process, "s", tag) == ""
    assert await exit_code(process, await send(process, tag, "touch /tmp/started")) == 130
    assert await list_tmp(process) == before


@pytest.mark.parametrize("script", ["", "echo 1", "echo 'a\nb' # TAG", "cat <<E\nx\nE\n"])
def test_a_wrapped_script_is_unwrapped(script: str) -> None:
    assert session_shell.unwrap(session_shell.wrap(new_tag(), script)) == script
