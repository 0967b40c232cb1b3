"""Leaving a script in a session's own shell: nothing more of it runs, and the shell is as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daytona_kernel import SessionExecuteRequest
from daytona_kernel.magics.shell import session_shell
from daytona_kernel.magics.shell.process_tree import CANCELED, new_tag

from .commands import begun, exit_code, left_in_tmp

if TYPE_CHECKING:
    from daytona_kernel.client.process import AsyncProcess

pytestmark = pytest.mark.anyio

# Each goes on for ever, and is heard if it is not left as a whole.
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
    request = SessionExecuteRequest(session_shell.wrap(tag, script), run_async=True)
    return (await process.execute_session_command("s", request)).cmd_id


async def ask(process: AsyncProcess, script: str) -> str:
    """Run a script in the session as it is, and return what it prints."""
    return (await process.execute_session_command("s", SessionExecuteRequest(script))).stdout or ""


async def leave(process: AsyncProcess, script: str) -> tuple[int | None, str]:
    """Leave a script when it has begun; return its status and what it printed."""
    tag = new_tag()
    command = await send(process, tag, f"echo up; {script}")
    await begun(process, command)
    assert await session_shell.leave(process, "s", tag) == "", script
    status = await exit_code(process, command)
    return status, (await process.get_session_command_logs("s", command)).stdout


@pytest.mark.parametrize("options", ["-hB", "-ET", "+hB"])
async def test_a_script_is_left_as_a_whole(process: AsyncProcess, options: str) -> None:
    await ask(process, f"set {options}; sleep 901 &")
    await ask(process, session_shell.wrap(new_tag(), "true"))
    state = await ask(process, STATE)
    assert "sleep 901" in state
    for script in SCRIPTS:
        assert (script, *await leave(process, script)) == (script, 130, "up\n")
        assert await ask(process, STATE) == state, script


async def test_what_heeds_no_interrupt_is_killed(process: AsyncProcess) -> None:
    assert await leave(process, "trap '' INT; bash -c 'trap \"\" TERM; sleep 900; sleep 900'") == (
        137,
        "up\n",
    )


async def test_a_script_that_waits_for_another_does_not_begin(process: AsyncProcess) -> None:
    before = await left_in_tmp(process)
    first = (
        await process.execute_session_command("s", SessionExecuteRequest("read; echo done", run_async=True))
    ).cmd_id
    tag = new_tag()
    second = await send(process, tag, "touch /tmp/begun")
    for _ in range(2):
        assert await session_shell.leave(process, "s", tag) == CANCELED
    await process.send_session_command_input("s", first, "\n")
    assert await exit_code(process, second) == 130
    assert await session_shell.leave(process, "s", tag) == ""
    assert await left_in_tmp(process) == before


async def test_a_script_that_comes_after_it_was_given_up_does_not_begin(process: AsyncProcess) -> None:
    before = await left_in_tmp(process)
    tag = new_tag()
    assert await session_shell.leave(process, "s", tag) == ""
    assert await exit_code(process, await send(process, tag, "touch /tmp/begun")) == 130
    assert await left_in_tmp(process) == before


@pytest.mark.parametrize("script", ["", "echo 1", "echo 'a\nb' # TAG", "cat <<E\nx\nE\n"])
def test_a_script_is_found_again(script: str) -> None:
    assert session_shell.unwrap(session_shell.wrap(new_tag(), script)) == script
