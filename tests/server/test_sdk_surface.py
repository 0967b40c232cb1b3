"""The tests with the official SDK use every public method that the server has routes for."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from tests.sdk_surface import NOT_SERVED, public, sdk_class


def used_in(name: str) -> set[str]:
    """Return the attributes that the tests in a file use."""
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text())
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


PARTS = ["process:{}Process", "code_interpreter:{}CodeInterpreter", "filesystem:{}FileSystem"]
HANDLES = {
    "test_sdk": "handle.pty_handle:PtyHandle",
    "test_sdk_async": "handle.async_pty_handle:AsyncPtyHandle",
}
SANDBOXES = {"test_sdk": "_sync.sandbox:Sandbox", "test_sdk_async": "_async.sandbox:AsyncSandbox"}
CLIENTS = {"test_sdk": "_sync.daytona:Daytona", "test_sdk_async": "_async.daytona:AsyncDaytona"}


@pytest.mark.parametrize(
    ("tests", "name"),
    [
        *(("test_sdk", "_sync." + part.format("")) for part in PARTS),
        *(("test_sdk_async", "_async." + part.format("Async")) for part in PARTS),
        *HANDLES.items(),
    ],
)
def test_every_method_is_exercised(tests: str, name: str) -> None:
    assert public(sdk_class(name)) - used_in(tests) == set()


@pytest.mark.parametrize(("tests", "name"), SANDBOXES.items())
def test_every_method_of_a_sandbox_is_exercised_or_not_served(tests: str, name: str) -> None:
    assert public(sdk_class(name)) - used_in(tests) - NOT_SERVED == set()


@pytest.mark.parametrize(("tests", "name"), CLIENTS.items())
def test_a_sandbox_is_created_found_and_listed(tests: str, name: str) -> None:
    assert {"create", "get", "list"} <= public(sdk_class(name)) & used_in(tests)


def test_every_unserved_method_exists() -> None:
    kind = sdk_class(SANDBOXES["test_sdk"])
    assert public(kind) >= NOT_SERVED
    assert all(inspect.getattr_static(kind, name) is not None for name in NOT_SERVED)
