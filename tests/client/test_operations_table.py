"""docs/operations.md lists every method of the client and the routes and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daytona_kernel import Daytona, FileSystem, Process, Sandbox
from daytona_kernel.server.app import CONTROL_ROUTES, TOOLBOX_ROUTES
from tests.sdk_surface import NOT_SERVED, public, sdk_class

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "operations.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TABLE.splitlines()
    if line.startswith("| ") and not line.startswith(("| operation", "| class"))
]


def test_no_cell_is_empty() -> None:
    assert len(ROWS) > 30
    assert all(cell for row in ROWS for cell in row)


@pytest.mark.parametrize("kind", [Daytona, Sandbox, Process, FileSystem])
def test_every_method_has_its_row(kind: type) -> None:
    methods = {name for name, value in vars(kind).items() if callable(value) and name[0] != "_"} - {"close"}
    named = set(re.findall(rf"`{kind.__name__}\.(\w+)`", TABLE))
    assert methods == named


def test_the_tests_that_it_names_exist() -> None:
    links = re.findall(r"\[`(test_\w+)`\]\(\.\./tests/(\w+)/(\w+)\.py\)", TABLE)
    assert len(links) > 60
    assert len(links) == len(re.findall(r"`test_\w+`", TABLE))
    for name, folder, file in links:
        assert name == file
        assert (ROOT / "tests" / folder / f"{name}.py").exists(), name


def test_every_row_of_the_page_is_tested_on_both_sides() -> None:
    page = [row for row in ROWS if row[0].startswith(("`process.", "`daytona.create`"))]
    assert len(page) == 10
    for row in page:
        assert "../tests/client/" in row[4]
        assert "../tests/server/" in row[5]


def test_the_methods_of_the_sdk_are_those_that_the_server_serves() -> None:
    listed = {(row[0], row[1].strip("`")) for row in ROWS if len(row) == 3}
    modules = {
        "Process": "_sync.process",
        "PtyHandle": "handle.pty_handle",
        "CodeInterpreter": "_sync.code_interpreter",
        "FileSystem": "_sync.filesystem",
    }
    for name, module in modules.items():
        served = public(sdk_class(f"{module}:{name}"))
        assert {method for owner, method in listed if owner == name} == served
    sandbox = {method for owner, method in listed if owner == "Sandbox"}
    not_listed = NOT_SERVED | {"process", "fs", "code_interpreter"}
    assert sandbox == public(sdk_class("_sync.sandbox:Sandbox")) - not_listed


def test_the_routes_that_it_names_are_served() -> None:
    routes = {
        re.sub(r"\{\w+\}", "{id}", route): handler for route, handler, _ in [*CONTROL_ROUTES, *TOOLBOX_ROUTES]
    }
    for row in [row for row in ROWS if len(row) == 3]:
        method, _, route = row[2].strip("`").partition(" ")
        assert hasattr(routes[route], method.lower()), row
