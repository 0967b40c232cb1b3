"""Whatever a notebook does with ipykernel it does here, cell for cell.

Each notebook of `notebooks/` is executed by both kernels, through nbclient. Outputs, messages, replies
and saved widgets must be equal but for what no two executions share (see `normalisation`) and what
`differences` lists.
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


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.name)
def test_a_notebook_is_the_same_with_both_kernels(pairs: Pairs, source: Source) -> None:
    ipykernel, daytona = _executed(pairs, source)
    assert ipykernel.cells, "the notebook is empty"
    expected = {d.begins for d in DIFFERENCES if d.notebook == source.name}
    unexpected = []
    for cell, shown in differing_cells(ipykernel, daytona):
        known = listed(source.name, cell.source)
        if known is None:
            unexpected.append(shown)
        else:
            expected.discard(known.begins)
    if metadata := difference(ipykernel.metadata, daytona.metadata):
        unexpected.append(f"The notebook's metadata: {metadata}")
    assert not unexpected, "\n\n".join(["", *unexpected])
    assert not expected, f"These differences are gone; take them off the list: {sorted(expected)}"


def test_the_listed_differences_are_of_notebooks_that_are_there() -> None:
    assert {d.notebook for d in DIFFERENCES} <= {source.name for source in sources()}
    assert len(sources()) >= 40


def _executed(pairs: Pairs, source: Source) -> tuple[Record, Record]:
    try:
        return pairs.of_group(source.group).execute(source)
    except BaseException:
        # What failed half-way may have left the two kernels with different counts.
        pairs.close()
        raise
