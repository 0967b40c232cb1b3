"""Imports point one way: a package imports only from those that stand behind it in this list."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "daytona_kernel"

BEHIND = {
    "wire": set(),
    "agent": {"wire"},
    "server": {"wire"},
    "client": {"wire"},
    "interpreter": {"client", "wire"},
    "views": {"interpreter", "client", "wire"},
    "magics": {"views", "interpreter", "client", "wire"},
    "kernel": {"magics", "views", "interpreter", "client", "wire"},
}


def imported_packages(source: Path) -> set[str]:
    """The sub-packages of daytona_kernel that a module imports, anywhere in it."""
    here = ("daytona_kernel", *source.relative_to(ROOT).with_suffix("").parts)
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level]) if node.level else ""
            modules = [".".join(part for part in (base, node.module or "") if part)]
            if node.module is None:
                modules = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            parts = module.split(".")
            if parts[0] == "daytona_kernel" and len(parts) > 1:
                found.add(parts[1])
    return found


@pytest.mark.parametrize("package", BEHIND)
def test_a_package_imports_only_what_is_behind_it(package: str) -> None:
    sources = list((ROOT / package).rglob("*.py"))
    assert sources
    for source in sources:
        wrong = (imported_packages(source) & BEHIND.keys()) - BEHIND[package] - {package}
        assert not wrong, f"{source.relative_to(ROOT)} imports {wrong}"


def test_the_wire_and_the_agent_need_nothing_that_a_sandbox_may_lack() -> None:
    allowed = {"tornado", "zmq", "ipykernel", "IPython", "jupyter_client"}
    for package in ("wire", "agent"):
        for source in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(source.read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module or ""]
                for name in names:
                    top = name.split(".")[0]
                    assert top in allowed or top in __import__("sys").stdlib_module_names, f"{source}: {name}"
