"""The notebooks that compare this kernel with ipykernel, and the page's examples, on Debian's newest Python.

ipykernel runs with this machine's Python, so tracebacks and the words of errors differ, and are not compared.
One group runs on the bare image. All of them run on one with libraries, only in `make test-images`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel import AsyncDaytona, CreateSandboxParams, Daytona
from tests.client.test_page_examples import run_examples
from tests.differential import execution
from tests.differential.differences import Difference, listed
from tests.differential.execution import running_pair
from tests.differential.notebook import sources
from tests.differential.report import differing_cells
from tests.images.roots import WITH_LIBRARIES, MissingImageError, image
from tests.isolation import needs_bubblewrap
from tests.served import config, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.differential.execution import Record

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1800)]

IMAGE = "forky"
GROUPS = sorted({source.group for source in sources()})

# Python's tracebacks and IPython's messages name the files of packages, and newer Pythons underline more.
# The first condition keeps the search of a long line short.
_PACKAGES_FOLDER = re.compile(
    r"(?<![^\s\"])[^\s\"]*/(?:site-packages|dist-packages|daytona-kernel/python3\.\d+)/"
)
_UNDERLINES = re.compile(r"^[ |]*[~^]+\n", re.MULTILINE)

_PYTHON = "Another version of Python"
_DEBIAN = "Debian's Python is at another place, and its packages are managed by apt"

# The cells that differ although errors are not compared.
DIFFERENCES = [
    Difference("errors/across_cells", "class Without", _PYTHON),
    Difference("errors/chains", "import asyncio", _PYTHON),
    Difference("errors/exits", "import pdb", _PYTHON),
    Difference("errors/syntax", "'''unfinished", _PYTHON),
    Difference("errors/syntax", "(1, 2", _PYTHON),
    Difference("errors/syntax", "\\", _PYTHON),
    Difference("errors/syntax", "\ta = 1", _PYTHON),
    Difference("execution/classes", "pickle.dumps(Point(1))", _PYTHON),
    Difference("execution/main_module", "sys.path[0]", _DEBIAN),
    Difference("execution/main_module", "import multiprocessing", _PYTHON),
    Difference("execution/place", "sys.version", _PYTHON),
    Difference("execution/place", "import site", _DEBIAN),
    Difference("execution/place", "import sysconfig", _DEBIAN),
    Difference("execution/threads", "def fail", _PYTHON),
    Difference("execution/threads", "import os", _PYTHON),
    Difference("magics/help", "", _PYTHON),
    Difference("magics/more", "%debug", _PYTHON),
    Difference("output/logging_and_warnings", '"\\d"', _PYTHON),
    Difference("output/logging_and_warnings", "1 is 1", _PYTHON),
    Difference("rich/display", 'display({"application/json"', _PYTHON),
    Difference("widgets/comms", 'other.send({"nan"', _PYTHON),
]


@pytest.fixture(scope="module", params=[IMAGE])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """A server with an image, of which its sandboxes are."""
    needs_bubblewrap()
    try:
        option = f"{request.param}={image(request.param)}"
    except MissingImageError as error:
        pytest.skip(f"no image {request.param}: {error}")
    with serving(tmp_path_factory.mktemp("served"), "--snapshot", option) as environment:
        yield environment | {"DAYTONA_SANDBOX_SNAPSHOT": request.param}


@pytest.mark.parametrize(
    ("served", "group"),
    [
        (IMAGE, "rich"),
        *(pytest.param(WITH_LIBRARIES, group, marks=pytest.mark.libraries) for group in GROUPS),
    ],
    indirect=["served"],
)
def test_notebooks_are_the_same_but_for_the_version_of_python(
    served: dict[str, str], group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "_CELL_SECONDS", 300)  # the first cell waits for an installation
    for name, value in served.items():
        monkeypatch.setenv(name, value)
    unexpected = []
    expected = {(each.notebook, each.start) for each in DIFFERENCES if each.notebook.startswith(f"{group}/")}
    with running_pair(tmp_path) as pair:
        for source in [each for each in sources() if each.group == group]:
            ipykernel, daytona = map(_without_errors, pair.execute(source))
            for cell, shown in differing_cells(ipykernel, daytona):
                known = listed(source.name, cell.source) or listed(source.name, cell.source, DIFFERENCES)
                if known is None:
                    unexpected.append(f"{source.name}: {shown}")
                else:
                    expected.discard((known.notebook, known.start))
    assert not unexpected, "\n\n".join(["", *unexpected])
    assert not expected, f"These differences are gone; take them off the list: {sorted(expected)}"


async def test_the_examples_of_the_page_work(served: dict[str, str]) -> None:
    params = CreateSandboxParams(snapshot=IMAGE)
    with Daytona(config(served)) as daytona:
        await run_examples(SimpleNamespace(create=functools.partial(daytona.create, params)), awaited=False)
    async with AsyncDaytona(config(served)) as adaytona:
        await run_examples(SimpleNamespace(create=functools.partial(adaytona.create, params)), awaited=True)


def _without_errors(record: Record) -> Record:
    parts = ("outputs", "messages", "reply")
    cells = [
        replace(cell, **{part: _reduced(getattr(cell, part)) for part in parts}) for cell in record.cells
    ]
    return replace(record, cells=cells)


def _reduced(value: Any) -> Any:
    """Return a part of a record with the names of errors, and without their words and tracebacks."""
    if isinstance(value, dict):
        return {key: _reduced(each) for key, each in value.items() if key not in {"evalue", "traceback"}}
    if isinstance(value, str):
        return _UNDERLINES.sub("", _PACKAGES_FOLDER.sub("<packages>/", value))
    return [_reduced(each) for each in value] if isinstance(value, list) else value
