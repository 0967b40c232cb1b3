"""Notebooks behave the same with ipykernel and with this kernel, cell for cell.

Both kernels execute each notebook of `notebooks/` through nbclient. Outputs, messages, replies and saved
widgets must be equal. Exceptions are values that differ in any two executions (see `normalization`), and
the differences that `differences` lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .differences import DIFFERENCES, listed
from .notebook import Source, sources
from .report import difference, differing_cells

if TYPE_CHECKING:
    from .conftest import Pairs
    from .execution import Record


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(each, id=each.name, marks=pytest.mark.xdist_group(f"notebooks of {each.kernel}"))
        for each in sources()
    ],
)
def test_a_notebook_is_the_same_with_both_kernels(pairs: Pairs, source: Source) -> None:
    compare(pairs, source.kernel, source)


def compare(pairs: Pairs, name: str, source: Source) -> None:
    """Run a notebook with the pair of this name, and fail for a difference that is not listed."""
    ipykernel, daytona = _executed(pairs, name, source)
    assert ipykernel.cells, "the notebook is empty"
    expected = {d.start for d in DIFFERENCES if d.notebook == source.name}
    unexpected = []
    for cell, shown in differing_cells(ipykernel, daytona):
        known = listed(source.name, cell.source)
        if known is None:
            unexpected.append(shown)
        else:
            expected.discard(known.start)
    if metadata := difference(ipykernel.metadata, daytona.metadata):
        unexpected.append(f"The notebook's metadata: {metadata}")
    assert not unexpected, "\n\n".join(["", *unexpected])
    assert not expected, f"These differences are gone; take them off the list: {sorted(expected)}"


def test_each_listed_difference_names_an_existing_notebook() -> None:
    assert {d.notebook for d in DIFFERENCES} <= {source.name for source in sources()}
    assert len(sources()) >= 40


def _executed(pairs: Pairs, name: str, source: Source) -> tuple[Record, Record]:
    try:
        return pairs.named(name).execute(source)
    except BaseException:
        # A failure may leave the two kernels with different execution counts.
        pairs.close()
        raise
