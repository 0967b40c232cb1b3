"""The two kernels: one pair for the notebooks of a group, and one for the tests of a module."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from .both import Both, Shared, running_both
from .execution import Pair, running_pair

if TYPE_CHECKING:
    from collections.abc import Iterator


class Pairs:
    """The pairs of kernels, one at a time."""

    def __init__(self, tmp_path_factory: pytest.TempPathFactory, **settings: str) -> None:
        self._tmp_path_factory = tmp_path_factory
        self._settings = settings
        self._group = ""
        self._running = ExitStack()
        self._pair: Pair | None = None

    def of_group(self, group: str) -> Pair:
        """Return the group's pair, and start it if it does not run."""
        if group != self._group or self._pair is None:
            self.close()
            directory = self._tmp_path_factory.mktemp(group)
            self._pair = self._running.enter_context(running_pair(directory, **self._settings))
            self._group = group
        return self._pair

    def close(self) -> None:
        """End the running pair. The next pair is a new one."""
        self._pair = None
        self._running.close()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pairs]:
    pairs = Pairs(tmp_path_factory)
    yield pairs
    pairs.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    shared = Shared(lambda: running_both(tmp_path_factory))
    yield shared
    shared.close()


@pytest.fixture
def both(shared: Shared) -> Both:
    return shared.both()
