"""Notebooks with a mounted project behave as with ipykernel in that folder, cell for cell.

One notebook of each group runs, and all that use files.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.server.box.bubblewrap import Trial
from daytona_kernel.server.box.network import choose_network

from .conftest import Pairs
from .notebook import Source, sources
from .test_notebooks import compare

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILES = ("open(", "write_text", "%%writefile", "savefig", "to_csv")


def chosen() -> list[Source]:
    found = []
    for _, members in groupby(sources(), lambda source: source.group):
        group = list(members)
        using_files = [each for each in group if any(word in each.path.read_text() for word in _FILES)]
        found += using_files or group[:1]
    return found


@pytest.fixture(scope="module")
def mounted_pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pairs]:
    if Trial(choose_network("auto")).failure() is not None:
        pytest.skip("bubblewrap does not work here")
    pairs = Pairs(tmp_path_factory, DAYTONA_KERNEL_PROJECT="mount")
    yield pairs
    pairs.close()


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(each, id=each.name, marks=pytest.mark.xdist_group(f"mounted notebooks of {each.group}"))
        for each in chosen()
    ],
)
def test_a_notebook_is_the_same_in_a_mounted_project(mounted_pairs: Pairs, source: Source) -> None:
    compare(mounted_pairs, source)
