"""The selection of tests for `make quick`."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import FILES_WITHOUT_KERNEL, ROOT_FILES, SLOW_FILES, TESTS

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS = [
    [sys.executable, "-m", "ipykernel_launcher", "-f", "no-such-file"],
    [sys.executable, "-m", "daytona_kernel", "-f", "no-such-file"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=["ipykernel", "daytona"])
def test_a_test_without_the_marker_cannot_start_a_kernel(command: list[str]) -> None:
    with pytest.raises(AssertionError, match="starts a kernel; mark it"):
        subprocess.run(command, check=False)


def test_fixtures_and_functions_mark_a_test(request: pytest.FixtureRequest) -> None:
    def marked(condition: Callable[[pytest.Item], bool], marker: str) -> bool:
        chosen = [item for item in request.session.items if condition(item)]
        return all(item.get_closest_marker(marker) for item in chosen)

    assert marked(lambda item: "own_kernel" in item.fixturenames, "kernel")  # type: ignore[attr-defined]
    assert marked(lambda item: "lab" in item.fixturenames, "browser")  # type: ignore[attr-defined]
    assert marked(lambda item: "differential" in item.path.parts, "kernel")
    assert request.node.get_closest_marker("kernel") is None


def test_the_files_that_are_named_exist() -> None:
    assert [
        name for name in SLOW_FILES | ROOT_FILES | FILES_WITHOUT_KERNEL if not (TESTS / name).is_file()
    ] == []


def test_each_conftest_is_loaded_once() -> None:
    loaded = [module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
    conftests = [path for path in loaded if path and path.endswith("conftest.py")]
    assert len(conftests) == len(set(conftests))
