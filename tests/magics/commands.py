"""Commands of the session `s`, waited for, and what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daytona_kernel.client.process import AsyncProcess


async def begun(process: AsyncProcess, command: str) -> None:
    """Wait until a command has printed something."""
    async with process.follow_session_command_logs("s", command) as chunks:
        await anext(aiter(chunks))


async def exit_code(process: AsyncProcess, command: str) -> int | None:
    """Wait for a command's end."""
    follower = process.follow_session_command_logs("s", command)
    async for _ in follower:
        pass
    return follower.exit_code


async def left_in_tmp(process: AsyncProcess) -> str:
    """The names in /tmp: none, or the way to an interpreter that the tests have there."""
    return (await process.exec("ls -A /tmp")).result
