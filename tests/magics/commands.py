"""Commands of the session `s`, waited for."""

from __future__ import annotations

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
