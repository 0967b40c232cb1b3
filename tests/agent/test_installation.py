"""The reasons that pip and uv give, an index that hangs, and the wheels that a sandbox's Python can use."""

from __future__ import annotations

import ast
import itertools
import socket
import zipfile
from pathlib import Path

import pytest

from daytona_kernel.agent import installation
from daytona_kernel.agent.environment import describe_python
from daytona_kernel.agent.installation import install, reason_of, unpack
from daytona_kernel.interpreter.wheels import Target, requirements_for
from daytona_kernel.wire.schema import ProtocolError

ROOT = Path(__file__).parents[2] / "daytona_kernel"
REQUIREMENTS = (ROOT / "agent/requirements.txt").read_text()

REFUSED = """WARNING: Retrying (Retry(total=0, connect=None, read=None)) after connection broken by \
'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a \
new connection: [Errno 111] Connection refused')': /simple/ipykernel/
ERROR: Could not find a version that satisfies the requirement ipykernel>=7.2 (from versions: none)
ERROR: No matching distribution found for ipykernel>=7.2
"""
UNRESOLVED = REFUSED.replace(
    "[Errno 111] Connection refused", "[Errno -3] Temporary failure in name resolution"
)
OLD = """ERROR: Ignored the following versions that require a different python version: 7.2.0
ERROR: Could not find a version that satisfies the requirement ipykernel>=7.2 (from versions: 4.0.1)
ERROR: No matching distribution found for ipykernel>=7.2
"""
UNREADABLE = (
    "ERROR: Could not open requirements file: [Errno 13] Permission denied: '/etc/pip/constraints.txt'\n"
)
OF_UV = """error: Failed to fetch: `https://pypi.org/simple/ipykernel/`
  Caused by: Request failed after 1 retries
  Caused by: error sending request for url (https://pypi.org/simple/ipykernel/)
  Caused by: client error (Connect)
  Caused by: dns error
"""


@pytest.mark.parametrize(
    ("output", "reason", "by_connection"),
    [
        (REFUSED, "the package index could not be reached ([Errno 111] Connection refused)", True),
        (
            UNRESOLVED,
            "the package index could not be reached ([Errno -3] Temporary failure in name resolution)",
            True,
        ),
        (OF_UV, "the package index could not be reached (dns error)", True),
        (
            OLD,
            "Ignored the following versions that require a different python version: 7.2.0",
            False,
        ),
        (UNREADABLE, UNREADABLE.strip().removeprefix("ERROR: "), False),
        ("", "no output", False),
    ],
)
def test_the_reason_is_the_connection_or_the_package(output: str, reason: str, by_connection: bool) -> None:
    assert reason_of(output) == (reason, by_connection)


def test_an_index_that_hangs_has_our_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and never answers
        monkeypatch.setattr(installation, "_INDEX_SECONDS", 1)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        failure = install(tmp_path / "packages")
    assert failure is not None
    assert failure.by_connection
    assert "timed out" in failure.reason
    assert list(tmp_path.iterdir()) == []


def test_wheels_are_unpacked_as_pip_does_and_stay_in_their_directory(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "one-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("one/__init__.py", "x = 1")
        wheel.writestr("one-1.data/purelib/two.py", "y = 2")
        wheel.writestr("one-1.data/scripts/run", "#!python")
        wheel.writestr("one-1.data/data/share/file", "")
        wheel.writestr("../outside.py", "z = 3")
    unpack(wheels, tmp_path / "packages")
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"packages/one/__init__.py", "packages/two.py", "packages/outside.py"}
    assert not wheels.exists()


def target(
    python: tuple[int, int] = (3, 13), libc: str = "glibc", version: tuple[int, int] = (2, 36)
) -> Target:
    return Target(python, free_threaded=False, machine="x86_64", libc=libc, libc_version=version)


def test_a_target_is_what_an_agent_describes() -> None:
    assert Target.parse(describe_python()).abi.startswith("cp3")
    good = {
        "python": [3, 13],
        "free_threaded": True,
        "machine": "x86_64",
        "libc": "musl",
        "libc_version": [1, 2],
    }
    assert Target.parse(good).abi == "cp313t"
    assert Target.parse(good).platforms == ["musllinux_1_2_x86_64", "musllinux_1_1_x86_64", "linux_x86_64"]
    assert target().platforms[:2] == ["manylinux_2_36_x86_64", "manylinux_2_35_x86_64"]
    assert "manylinux2014_x86_64" in target().platforms


@pytest.mark.parametrize(
    "change",
    [
        {"python": [3, "13"]},
        {"python": [2, 7]},
        {"python": [3, 13, 1]},
        {"python": [3, True]},
        {"machine": "x86_64 --index-url http://evil"},
        {"machine": "../.."},
        {"machine": None},
        {"libc": "unknown"},
        {"libc_version": [2, 10**9]},
        {"free_threaded": "yes"},
    ],
)
def test_a_hostile_description_is_refused(change: dict[str, object]) -> None:
    good = {
        "python": [3, 13],
        "free_threaded": False,
        "machine": "x86_64",
        "libc": "glibc",
        "libc_version": [2, 36],
    }
    with pytest.raises(ProtocolError):
        Target.parse(good | change)
    described_by_nothing: list[object] = [None, [], "x", {}]
    for nothing in described_by_nothing:
        with pytest.raises(ProtocolError):
            Target.parse(nothing)


def test_the_requirements_are_pinned_with_hashes_for_each_python() -> None:
    for minor in range(10, 15):
        lines = requirements_for(REQUIREMENTS, target((3, minor))).split("\n")
        pins = [line for line in lines if "==" in line]
        names = [line.partition("==")[0] for line in pins]
        assert len(names) == len(set(names)) > 20, minor
        assert {"ipykernel", "ipython", "pyzmq", "tornado", "debugpy"} <= set(names)
        assert not {"colorama", "appnope", "cffi"} & set(names)
        assert ("exceptiongroup" in names) == (minor == 10)
        for line, following in itertools.pairwise(lines):
            if "==" in line:
                assert following.strip().startswith("--hash=sha256:"), line


_LATER_NAMES = {
    "datetime": {"UTC"},
    "asyncio": {"timeout", "timeout_at", "TaskGroup", "Runner", "Barrier"},
    "typing": {
        "Self",
        "assert_never",
        "assert_type",
        "Never",
        "LiteralString",
        "NotRequired",
        "Required",
        "Unpack",
    },
    "enum": {"StrEnum", "ReprEnum", "member", "nonmember", "verify"},
    "contextlib": {"chdir"},
    "hashlib": {"file_digest"},
    "operator": {"call"},
}
_LATER_BUILTINS = {"ExceptionGroup", "BaseExceptionGroup", "aiter_"}
_LATER_MODULES = {"tomllib", "wsgiref.types"}
_IN_SANDBOXES = sorted(
    [*(ROOT / "agent").glob("*.py"), *(ROOT / "wire").glob("*.py"), *(ROOT / "server/inside").glob("*.py")]
)


@pytest.mark.parametrize("source", _IN_SANDBOXES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_runs_in_sandboxes_is_python_310(source: Path) -> None:
    tree = ast.parse(source.read_text(), feature_version=(3, 10))
    only_for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for part in node.body
        for inner in ast.walk(part)
    }
    for node in ast.walk(tree):
        if node in only_for_types:
            continue
        if isinstance(node, ast.ImportFrom):
            later = {each.name for each in node.names} & _LATER_NAMES.get(node.module or "", set())
            assert not later, (node.lineno, later)
            assert node.module not in _LATER_MODULES, node.lineno
        elif isinstance(node, ast.Import):
            assert not {each.name for each in node.names} & _LATER_MODULES, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.attr not in _LATER_NAMES.get(node.value.id, set()), (node.lineno, node.attr)
            assert node.attr != "add_note", node.lineno
        elif isinstance(node, ast.Name):
            assert node.id not in _LATER_BUILTINS, node.lineno
        elif isinstance(node, ast.ExceptHandler) and "await" in ast.unparse(tree):
            # asyncio's own TimeoutError was another class then.
            caught = ast.unparse(node.type) if node.type is not None else ""
            assert caught != "TimeoutError", node.lineno
