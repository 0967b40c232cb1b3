"""A command that is canceled before it starts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.magics.shell import process_tree
from daytona_kernel.magics.shell.process_tree import Ending, Fate, Sight

from .commands import list_tmp

if TYPE_CHECKING:
    from daytona_kernel.client.process import AsyncProcess

pytestmark = pytest.mark.anyio


async def test_nothing_in_the_sandbox_waits_for_a_canceled_command(process: AsyncProcess) -> None:
    before = await list_tmp(process)
    tag = process_tree.new_tag()
    assert await process_tree.end(process, tag) is Ending.NOTHING
    assert await asyncio.wait_for(process_tree.watch(process, tag), 20) is Fate.UNKNOWN
    assert await process_tree.look(process, tag) is Sight.RUNS  # it may still come, and must not start then
    started = await process.exec(f"{process_tree.leave_pid(tag)}; touch /tmp/started")
    assert started.exit_code == 130
    assert await list_tmp(process) == before
