"""Imports point one way: between packages, between the folders of a package, and between modules."""

from __future__ import annotations

import ast
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parent.parent / "daytona_kernel"

# Each package, and the packages that it may import.
PACKAGES: dict[str, set[str]] = {
    "wire": set(),
    "settings": set(),
    "agent": {"wire"},
    "server": {"wire"},
    "client": {"settings", "wire"},
    "interpreter": {"client", "wire"},
    "views": {"wire"},
    "magics": {"views", "interpreter", "client", "settings", "wire"},
    "kernel": {"magics", "views", "interpreter", "client", "settings", "wire"},
}

# Each folder of a package, and the folders of the same package that it may import. Types are not counted:
# the kernel's relay and host run on two event loops, and know each other only by type.
FOLDERS: dict[str, dict[str, set[str]]] = {
    "kernel": {
        "out": set(),
        "relay": {"out"},
        "host": {"out"},
    },
    "server": {
        "inside": set(),
        "guard": {"inside"},
        "box": {"inside", "guard"},
        "toolbox": {"box", "inside"},
        "handlers": {"toolbox"},
    },
}

# Programs that run where only these modules exist, besides the standard library.
SANDBOX_PROGRAMS: dict[str, set[str]] = {
    "wire": {"tornado", "zmq", "ipykernel", "IPython", "jupyter_client"},
    "agent": {"tornado", "zmq", "ipykernel", "IPython", "jupyter_client", "traitlets", "debugpy"},
    "server/inside": set(),
    "server/inside/charts_backend.py": {"matplotlib"},  # only code that has imported matplotlib loads it
}


def name_of(source: Path) -> str:
    """Return the dotted name of the module in `source`."""
    parts = ("daytona_kernel", *source.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def runs_later(node: ast.AST) -> bool:
    """Return whether the imports below `node` do not run when the module is imported."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test).endswith("TYPE_CHECKING")
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


@cache
def imports(source: Path, *, at_import: bool = False) -> frozenset[str]:
    """Return the absolute names that a module imports: modules, and names in them.

    With `at_import`, leave out imports in functions and those for type checkers.
    """
    module = name_of(source).split(".")
    package = module if source.name == "__init__.py" else module[:-1]
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(source.read_text())]
    while pending:
        node = pending.pop()
        if at_import and runs_later(node):
            continue
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(found)


def sources(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, f"{folder} has no modules"
    return found


def parts_below(package: str, names: Iterable[str]) -> set[str]:
    """Return the first part after `package` of each of the names that are below it."""
    prefix = f"{package}."
    return {name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_below_it(package: str) -> None:
    for source in sources(package):
        imported = parts_below("daytona_kernel", imports(source)) & PACKAGES.keys()
        wrong = imported - PACKAGES[package] - {package}
        assert not wrong, f"{source.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize(
    ("package", "folder"), [(package, folder) for package, folders in FOLDERS.items() for folder in folders]
)
def test_a_folder_imports_only_the_folders_below_it(package: str, folder: str) -> None:
    allowed = FOLDERS[package]
    for source in sources(f"{package}/{folder}"):
        imported = parts_below(f"daytona_kernel.{package}", imports(source, at_import=True)) & allowed.keys()
        wrong = imported - allowed[folder] - {folder}
        assert not wrong, f"{source.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("package", FOLDERS)
def test_every_folder_has_its_place_in_the_order(package: str) -> None:
    assert {path.parent.name for path in (ROOT / package).glob("*/__init__.py")} == FOLDERS[package].keys()


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {name_of(source): source for source in sources("")}
    graph = {}
    for module, source in modules.items():
        imported = imports(source, at_import=True) & modules.keys()
        # Python has started to import the packages around a module before the module itself.
        graph[module] = {name for name in imported if not f"{module}.".startswith(f"{name}.")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("import circle: " + " → ".join(error.args[1]))


@pytest.mark.parametrize("place", SANDBOX_PROGRAMS)
def test_a_program_of_the_sandbox_imports_only_modules_that_exist_there(place: str) -> None:
    path = ROOT / place
    own = f"daytona_kernel.{place.partition('/')[0]}"
    visible = {"daytona_kernel.wire", own} if place in PACKAGES else set()
    for source in [path] if path.is_file() else sources(place):
        if place != str(source.relative_to(ROOT)) and str(source.relative_to(ROOT)) in SANDBOX_PROGRAMS:
            continue  # a program with its own entry
        for name in imports(source):
            if name.startswith("daytona_kernel"):
                inside = name == "daytona_kernel" or any(name.startswith(prefix) for prefix in visible)
                assert inside, f"{source.relative_to(ROOT)} imports {name}"
            else:
                top = name.split(".")[0]
                known = top in sys.stdlib_module_names or top in SANDBOX_PROGRAMS[place]
                assert known, f"{source.relative_to(ROOT)} imports {name}"
