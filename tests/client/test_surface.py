"""The public names, and the equality of the sync and the async client."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import daytona_kernel
from daytona_kernel import errors
from daytona_kernel.client.error_responses import error_of
from daytona_kernel.client.operations import table
from daytona_kernel.client.operations.table import Operation
from daytona_kernel.errors import DaytonaError

ROOT = Path(daytona_kernel.__file__).parent
TWINS = [
    (daytona_kernel.Daytona, daytona_kernel.AsyncDaytona),
    (daytona_kernel.Sandbox, daytona_kernel.AsyncSandbox),
    (daytona_kernel.Process, daytona_kernel.AsyncProcess),
    (daytona_kernel.FileSystem, daytona_kernel.AsyncFileSystem),
    (daytona_kernel.LogFollower, daytona_kernel.AsyncLogFollower),
]
PAGE = {
    "exec": ["command", "cwd", "timeout"],
    "code_run": ["code"],
    "create_session": ["session_id"],
    "get_session": ["session_id"],
    "get_session_command": ["session_id", "command_id"],
    "execute_session_command": ["session_id", "req"],
    "get_session_command_logs": ["session_id", "command_id"],
    "list_sessions": [],
    "delete_session": ["session_id"],
}


def test_all_is_the_surface() -> None:
    assert len(set(daytona_kernel.__all__)) == len(daytona_kernel.__all__)
    for name in daytona_kernel.__all__:
        assert getattr(daytona_kernel, name) is not None
    assert dir(daytona_kernel) == sorted(daytona_kernel.__all__)
    with pytest.raises(AttributeError):
        daytona_kernel.no_such_name  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    assert imported | {"__version__"} == set(daytona_kernel.__all__)
    assert set(daytona_kernel._MODULE_OF) == imported


def test_every_exception_of_the_sdk_is_public() -> None:
    for name, value in vars(errors).items():
        if inspect.isclass(value) and issubclass(value, Exception):
            assert name in daytona_kernel.__all__ or not name.startswith("Daytona")


def test_the_drawn_tree_of_exceptions_is_the_real_one() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for indent, name in re.findall(r"^    ([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent) // 4
        path[depth:] = [name]
        drawn[name] = path[depth - 1] if depth else "Exception"
    real = {
        value.__name__: value.__bases__[0].__name__
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, Exception)
    }
    assert drawn == real


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, daytona_kernel, daytona_kernel.client.embedded\n"
        "print({'httpx', 'websockets', 'asyncio'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(("sync", "twin"), TWINS, ids=lambda twin: twin.__name__)
def test_twins_have_the_same_methods_and_parameters(sync: Any, twin: Any) -> None:
    def methods(kind: Any) -> dict[str, Any]:
        return {name: value for name, value in vars(kind).items() if callable(value) and name[0] != "_"}

    renamed = {"aclose": "close"}
    twins = {renamed.get(name, name): value for name, value in methods(twin).items()}
    assert set(methods(sync)) == set(twins)
    only_async = {"interpreter", "on_message", "request"}
    for name, value in methods(sync).items():
        ours = list(inspect.signature(value).parameters)
        theirs = [
            parameter
            for parameter in inspect.signature(twins[name]).parameters
            if parameter not in only_async
        ]
        assert ours == theirs, name
        assert value.__doc__
        assert twins[name].__doc__


@pytest.mark.parametrize("kind", [daytona_kernel.Process, daytona_kernel.AsyncProcess])
def test_process_has_the_methods_of_daytonas_page(kind: Any) -> None:
    parameters = list(inspect.signature(kind).parameters)
    assert parameters == ["code_toolbox", "toolbox_api", "instance"]
    for name, expected in PAGE.items():
        given = list(inspect.signature(getattr(kind, name)).parameters)
        assert given[1 : 1 + len(expected)] == expected, name


def test_methods_have_the_signatures_and_docstrings_of_their_operations() -> None:
    signature = inspect.signature(daytona_kernel.Process.exec)
    assert str(signature).startswith("(self, command: 'str', cwd: 'str | None' = None")
    assert signature.return_annotation == "ExecuteResponse"
    assert "shell command" in (daytona_kernel.AsyncProcess.exec.__doc__ or "")
    assert daytona_kernel.Process.exec.__name__ == "exec"


def strings(module: str) -> set[str]:
    """Return the strings in a module of the client, without docstrings."""
    tree = ast.parse((ROOT / "client" / f"{module}.py").read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    }


def test_twins_contain_no_route_and_no_field_of_the_wire() -> None:
    """Only the operations know routes, and only they and the models know the names in JSON."""
    names = {"files", "processes", "sandboxes", "sessions"}
    wire = set().union(
        *(strings(f"{folder}/{name}") for folder in ("models", "operations") for name in names)
    )
    assert {"sessionId", "exitCode", "autoStopInterval", "envs"} <= wire
    for module in ("process", "sandbox", "filesystem", "daytona"):
        found = strings(module)
        assert not {text for text in found if text.startswith("/")}
        assert not {text for text in found & wire if re.fullmatch(r"[A-Za-z][\w-]+", text)} - {"python"}


def test_no_operation_is_in_the_table_twice() -> None:
    known = [value for value in vars(table).values() if isinstance(value, Operation)]
    assert len({(operation.method, operation.route) for operation in known}) == len(known)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "BAD_REQUEST", errors.DaytonaBadRequestError),
        (401, None, errors.DaytonaAuthenticationError),
        (403, "ANYTHING", errors.DaytonaForbiddenError),
        (404, "FILE_NOT_FOUND", errors.DaytonaFileNotFoundError),
        (408, "REQUEST_TIMEOUT", errors.DaytonaProcessExecutionTimeoutError),
        (410, "SESSION_ENDED", errors.DaytonaSessionEndedError),
        (422, None, errors.DaytonaUnprocessableEntityError),
        (429, None, errors.DaytonaRateLimitError),
        (504, None, errors.DaytonaTimeoutError),
        (418, None, DaytonaError),
    ],
)
def test_status_and_code_choose_the_exception(
    status: int, code: str | None, kind: type[DaytonaError]
) -> None:
    error = error_of(status, "words", code=code, request_id="r")
    assert type(error) is kind
    assert (error.status_code, error.code, error.request_id) == (status, code, "r")


def test_names_are_those_of_the_official_sdk() -> None:
    import daytona.common.errors as official

    for name, value in vars(errors).items():
        if inspect.isclass(value) and name.startswith("Daytona") and hasattr(official, name):
            ours = {base.__name__ for base in value.__mro__} & set(vars(official))
            theirs = {base.__name__ for base in getattr(official, name).__mro__} & set(vars(errors))
            assert ours == theirs, name
