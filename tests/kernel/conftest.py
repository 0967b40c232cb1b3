"""Kernels for tests: one that a module shares, and one for a single test that changes it for good."""

from collections.abc import Iterator

import pytest

from .driver import Driver, running_kernel


@pytest.fixture(scope="module")
def kernel() -> Iterator[Driver]:
    with running_kernel() as driver:
        yield driver


@pytest.fixture
def own_kernel() -> Iterator[Driver]:
    with running_kernel() as driver:
        yield driver
