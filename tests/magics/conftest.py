"""A kernel for the tests, a sandbox without a kernel, and a check for cells that must fail."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

import pytest

from daytona_kernel import AsyncDaytona, DaytonaConfig, SessionExecuteRequest
from tests.kernel.driver import Driver, running_kernel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from daytona_kernel.client.process import AsyncProcess


@pytest.fixture(scope="package")
def kernels() -> Iterator[Callable[[str], Driver]]:
    """A kernel for each profile, for the modules of this folder that need no special one."""
    with ExitStack() as running:

        @cache
        def kernel_with(profile: str) -> Driver:
            return running.enter_context(running_kernel(DAYTONA_KERNEL_PROFILE=profile))

        yield kernel_with


@pytest.fixture
def kernel(kernels: Callable[[str], Driver], profile: str) -> Driver:
    return kernels(profile)


def failure(kernel: Driver, code: str) -> tuple[str, str]:
    """Run a cell that must fail in one line and keep the variables; return the error's name and message."""
    kernel.run("kept = 1")
    answer = kernel.run(code)
    assert answer.reply["status"] == "error"
    assert len(answer.error["traceback"]) == 1
    assert kernel.run("kept").result == "1"
    return answer.error["ename"], answer.error["evalue"]


def assert_fails(kernel: Driver, code: str, ename: str, words: str) -> None:
    """Assert that a cell fails as `failure` requires, with an error of this name and with these words."""
    name, sentence = failure(kernel, code)
    assert name == ename
    assert words in sentence


@pytest.fixture
async def process(profiled: DaytonaConfig) -> AsyncIterator[AsyncProcess]:
    """The processes of a sandbox with a session `s`, whose shell has a variable and is in /tmp."""
    async with AsyncDaytona(profiled) as daytona:
        sandbox = await daytona.create()
        await sandbox.process.create_session("s")
        await sandbox.process.execute_session_command("s", SessionExecuteRequest("kept=here; cd /tmp"))
        yield sandbox.process
        await sandbox.delete()
