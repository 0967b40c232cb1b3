"""A session whose commands cannot be passed on. It ends with a reason, and no command waits for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.server.failures import ApiError
from daytona_kernel.server.limits import Timings
from daytona_kernel.server.toolbox.sandbox import Description, Intervals
from daytona_kernel.server.toolbox.sandboxes import Sandboxes

if TYPE_CHECKING:
    from pathlib import Path


def test_a_command_that_breaks_the_feeder_ends_the_session_with_a_reason(tmp_path: Path) -> None:
    async def attack() -> None:
        sandboxes = Sandboxes(tmp_path, None, Timings())
        sandbox = await sandboxes.create(Description("hostile"), Intervals())
        try:
            session = await sandbox.sessions.create("s")
            # The routes refuse this text. No encoding of a pipe can hold it.
            commands = [session.submit(text, is_async=False, echo=False) for text in ("\ud800", "echo never")]
            async with asyncio.timeout(20):
                for command in commands:
                    await command.done.wait()
                    assert command.exit_code == -1
                    assert b"the session has ended" in command.log.read()
            with pytest.raises(ApiError):
                session.submit("echo later", is_async=False, echo=False)
            await sandbox.sessions.delete("s")
            other = await sandbox.sessions.create("s")
            command = other.submit("echo hello", is_async=False, echo=False)
            async with asyncio.timeout(20):
                await command.done.wait()
            assert command.exit_code == 0
        finally:
            await sandboxes.close()

    asyncio.run(attack())
