"""The two kernels: a pair for the notebooks of several groups, and one for the tests of requests."""

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
        self._name = ""
        self._running = ExitStack()
        self._pair: Pair | None = None

    def named(self, name: str) -> Pair:
        """Return the pair with a name, and start it if it does not run."""
        if name != self._name or self._pair is None:
            self.close()
            directory = self._tmp_path_factory.mktemp(name)
            self._pair = self._running.enter_context(running_pair(directory, **self._settings))
            self._name = name
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


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    shared = Shared(lambda: running_both(tmp_path_factory))
    yield shared
    shared.close()


@pytest.fixture
def both(shared: Shared) -> Both:
    return shared.both()
