"""Stopping background commands in a real sandbox: their processes end, their session stays."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from daytona_kernel import SessionExecuteRequest
from daytona_kernel.magics.shell import background
from daytona_kernel.magics.shell.process_tree import CANCELED, new_tag

from .commands import exit_code, list_tmp, wait_for_output

if TYPE_CHECKING:
    from daytona_kernel.client.process import AsyncProcess

pytestmark = pytest.mark.anyio
SECONDS = 60.0


async def run(process: AsyncProcess, script: str) -> str:
    request = SessionExecuteRequest(background.wrap(new_tag(), script), run_async=True)
    return (await process.execute_session_command("s", request)).cmd_id


async def running(process: AsyncProcess, mark: str) -> str:
    """Return the processes that have the mark in their arguments."""
    return (await process.exec(f"grep -lsa '[m]ark={mark}' /proc/[0-9]*/cmdline")).result


async def until_running(process: AsyncProcess, mark: str) -> None:
    """Wait for a process with the mark. A shell that goes on has perhaps not started its program yet."""
    deadline = time.monotonic() + SECONDS
    while not await running(process, mark):
        assert time.monotonic() < deadline


SCRIPTS = {
    "a program": "exec -a MARK sleep 900",
    "a program under a shell": "bash -c 'exec -a MARK sleep 900'; true",
    "a shell loop": "while :; do bash -c 'sleep 0.05; :' MARK; done",
    "ignores INT": "trap '' INT; bash -c 'sleep 900; :' MARK; :",
    "ignores INT and TERM": "trap '' INT TERM; bash -c 'sleep 900; :' MARK; :",
    "a child that ignores INT and TERM": "bash -c 'trap \"\" INT TERM; sleep 900; sleep 900' MARK; true",
    "a setsid child": "setsid bash -c 'sleep 900; :' MARK & wait",
    "a daemon": "(setsid bash -c 'sleep 900; :' MARK &) ; sleep 900",
    "a daemon that ignores INT and TERM": (
        "(setsid bash -c 'trap \"\" INT TERM; sleep 900; sleep 900' MARK &) ; sleep 900"
    ),
    "a subshell that went away": "( ( while :; do bash -c 'sleep 0.2; :' MARK; done ) & ) ; sleep 900",
    "many": "for i in $(seq 40); do bash -c 'sleep 900; :' MARK & done; wait",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
async def test_stop_ends_the_whole_process_tree(process: AsyncProcess, script: str) -> None:
    command = await run(process, "echo up\n" + script.replace("MARK", "mark=here"))
    await wait_for_output(process, command)
    await until_running(process, "here")
    assert await background.stop(process, "s", command) == background.STOPPED
    assert await running(process, "here") == ""
    assert await exit_code(process, command) not in (0, None)
    answer = await process.execute_session_command("s", SessionExecuteRequest("echo $kept $PWD"))
    assert answer.stdout == "here /tmp\n"
    assert (await process.exec("ls -A /tmp | grep daytona-")).result == ""


async def test_the_daemon_of_an_ended_command_keeps_running(process: AsyncProcess) -> None:
    command = await run(process, "setsid bash -c 'sleep 900; :' mark=daemon > /dev/null 2>&1 &\n")
    assert await exit_code(process, command) == 0
    await until_running(process, "daemon")
    assert await background.stop(process, "s", command) == (
        "The command had already ended, with exit status 0."
    )
    assert await running(process, "daemon")


async def test_other_commands_of_the_session_keep_running(process: AsyncProcess) -> None:
    await process.execute_session_command(
        "s", SessionExecuteRequest("bash -c 'sleep 900; :' mark=other > /dev/null 2>&1 &")
    )
    command = await run(process, "echo up; sleep 900")
    await wait_for_output(process, command)
    await until_running(process, "other")
    await background.stop(process, "s", command)
    assert await running(process, "other")


async def test_a_queued_command_is_canceled(process: AsyncProcess) -> None:
    before = await list_tmp(process)
    first = await run(process, "echo up; read; exit 5")
    await wait_for_output(process, first)
    second = await run(process, "touch /tmp/started")
    for _ in range(2):
        assert await background.stop(process, "s", second) == CANCELED
    await process.send_session_command_input("s", first, "\n")
    assert await exit_code(process, first) == 5
    assert await exit_code(process, second) == 130
    assert await list_tmp(process) == before


async def test_stopping_twice_at_once_and_once_more(process: AsyncProcess) -> None:
    before = await list_tmp(process)
    command = await run(process, "trap '' INT; echo up; sleep 900 & wait; sleep 900")
    await wait_for_output(process, command)
    results = await asyncio.gather(*(background.stop(process, "s", command) for _ in range(2)))
    assert background.STOPPED in results
    assert "had already ended" in await background.stop(process, "s", command)
    assert await list_tmp(process) == before


async def test_a_command_of_another_client_cannot_be_stopped(process: AsyncProcess) -> None:
    request = SessionExecuteRequest("echo up; read", run_async=True)
    command = (await process.execute_session_command("s", request)).cmd_id
    assert "cannot be stopped alone" in await background.stop(process, "s", command)


@pytest.mark.parametrize("command", ["true", "echo 'a\nb'", "cat <<X\n)\nX", "", "\n", "# ( : daytona-"])
def test_a_wrapped_command_is_unwrapped(command: str) -> None:
    assert background.unwrap(background.wrap(new_tag(), command)) == command
    assert background.unwrap(command) == command
