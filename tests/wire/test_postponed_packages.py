"""Packages that run their `__init__` only when somebody uses a name in it."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.wire.postponed_packages import postpone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The runs of the package `late`, which is postponed. It takes a while, and uses its own module."""
    package = tmp_path / "late"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import sys, time\nsys.late_runs.append(__name__)\ntime.sleep(0.2)\n"
        "from .module import VALUE\n__all__ = ['VALUE']\n"
        "def __getattr__(name):\n"
        "    if name == 'computed': return 'computed'\n"
        "    raise AttributeError(name)\n"
    )
    (package / "module.py").write_text("VALUE = 1\n")
    (package / "other.py").write_text("FIRST = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    found: list[str] = []
    monkeypatch.setattr(sys, "late_runs", found, raising=False)
    postpone("late", FIRST="other")
    postpone("there_is_no_such_package")
    yield found
    for name in ("late", "late.module", "late.other"):
        sys.modules.pop(name, None)


def test_the_import_of_a_module_does_not_run_its_package(runs: list[str]) -> None:
    assert import_module("late.module").VALUE == 1
    assert runs == []


def test_the_first_use_of_a_name_runs_the_package_once(runs: list[str]) -> None:
    late = import_module("late")
    assert (late.computed, late.VALUE, runs) == ("computed", 1, ["late"])
    assert late.__all__ == ["VALUE"]
    with pytest.raises(AttributeError):
        _ = late.missing


def test_a_name_of_a_known_module_does_not_run_the_package(runs: list[str]) -> None:
    assert import_module("late").FIRST == 2
    assert runs == []


def test_an_import_of_a_name_that_a_postponed_module_has_does_not_run_it(runs: list[str]) -> None:
    postpone("late.other")
    sys.modules["late.other"].given = 3  # type: ignore[attr-defined]
    from late.other import given  # type: ignore[import-not-found]

    assert given == 3
    assert "FIRST" not in vars(sys.modules["late.other"])
    assert import_module("late.other").FIRST == 2
    assert runs == []  # nor does it run its package


def test_a_look_at_all_names_runs_the_package(runs: list[str]) -> None:
    assert "VALUE" in dir(import_module("late"))
    assert runs == ["late"]


def test_threads_wait_for_each_other(runs: list[str]) -> None:
    late = sys.modules["late"]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: late.VALUE, range(4))) == [1] * 4
    assert runs == ["late"]
