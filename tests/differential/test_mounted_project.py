"""Notebooks that use files behave with a mounted project as with ipykernel in that folder, cell for cell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.isolation import needs_bubblewrap

from .conftest import Pairs
from .notebook import Source, sources
from .test_notebooks import compare

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRITES = re.compile(r'write_text|%%writefile|, "w"\)|sqlite3')


def chosen() -> list[Source]:
    """Return the notebooks that write files beside themselves."""
    return [each for each in sources() if _WRITES.search(each.path.read_text())]


@pytest.fixture(scope="module")
def mounted_pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pairs]:
    needs_bubblewrap()
    pairs = Pairs(tmp_path_factory, DAYTONA_KERNEL_PROJECT="mount")
    yield pairs
    pairs.close()


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(each, id=each.name, marks=pytest.mark.xdist_group("mounted notebooks"))
        for each in chosen()
    ],
)
def test_a_notebook_is_the_same_in_a_mounted_project(mounted_pairs: Pairs, source: Source) -> None:
    compare(mounted_pairs, "mounted", source)
