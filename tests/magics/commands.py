"""Helpers for the commands of the session `s`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daytona_kernel.client.process import AsyncProcess


async def wait_for_output(process: AsyncProcess, command: str) -> None:
    """Wait until a command has printed something."""
    async with process.follow_session_command_logs("s", command) as chunks:
        await anext(aiter(chunks))


async def exit_code(process: AsyncProcess, command: str) -> int | None:
    """Wait for a command's end, and return its exit status."""
    follower = process.follow_session_command_logs("s", command)
    async for _ in follower:
        pass
    return follower.exit_code


async def list_tmp(process: AsyncProcess) -> str:
    """Return the names in /tmp. Tests without isolation share it with their own interpreter."""
    return (await process.exec("ls -A /tmp")).result
