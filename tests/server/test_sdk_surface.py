"""The tests with the official SDK use every public method that the server has routes for."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from daytona import AsyncDaytona, AsyncSandbox, Daytona, Sandbox
from daytona._async.code_interpreter import AsyncCodeInterpreter
from daytona._async.filesystem import AsyncFileSystem
from daytona._async.process import AsyncProcess
from daytona._sync.code_interpreter import CodeInterpreter
from daytona._sync.filesystem import FileSystem
from daytona._sync.process import Process
from daytona.handle.async_pty_handle import AsyncPtyHandle
from daytona.handle.pty_handle import PtyHandle

from tests.sdk_surface import NOT_SERVED, public


def used_in(name: str) -> set[str]:
    """Return the attributes that the tests in a file use."""
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text())
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize(
    ("kind", "tests"),
    [
        *((kind, "test_sdk") for kind in (Process, CodeInterpreter, PtyHandle, FileSystem)),
        *(
            (kind, "test_sdk_async")
            for kind in (AsyncProcess, AsyncCodeInterpreter, AsyncPtyHandle, AsyncFileSystem)
        ),
    ],
)
def test_every_method_is_exercised(kind: type, tests: str) -> None:
    assert public(kind) - used_in(tests) == set()


@pytest.mark.parametrize(("kind", "tests"), [(Sandbox, "test_sdk"), (AsyncSandbox, "test_sdk_async")])
def test_every_method_of_a_sandbox_is_exercised_or_not_served(kind: type, tests: str) -> None:
    assert public(kind) - used_in(tests) - NOT_SERVED == set()


@pytest.mark.parametrize(("kind", "tests"), [(Daytona, "test_sdk"), (AsyncDaytona, "test_sdk_async")])
def test_a_sandbox_is_created_found_and_listed(kind: type, tests: str) -> None:
    assert {"create", "get", "list"} <= public(kind) & used_in(tests)


def test_every_unserved_method_exists() -> None:
    assert public(Sandbox) >= NOT_SERVED
    assert all(inspect.getattr_static(Sandbox, name) is not None for name in NOT_SERVED)
