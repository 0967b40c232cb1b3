"""One kernel for the tests of a module, and what must be true of every magic that fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.driver import Driver, running_kernel


@pytest.fixture(scope="module")
def kernel() -> Iterator[Driver]:
    with running_kernel() as driver:
        yield driver


def failure(kernel: Driver, code: str) -> tuple[str, str]:
    """Run a cell that must fail with one line; return the error's name and sentence."""
    kernel.run("kept = 1")
    answer = kernel.run(code)
    assert answer.reply["status"] == "error"
    assert len(answer.error["traceback"]) == 1
    assert kernel.run("kept").result == "1"
    return answer.error["ename"], answer.error["evalue"]
