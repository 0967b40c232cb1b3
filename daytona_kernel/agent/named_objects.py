"""The objects that code names before it has run: imported modules, their members, and literals.

Completion of a fresh cell such as `import os; os.path.jo` needs them, and Jedi may have much to read before
it finds them. Nothing is imported and no code runs here: a module counts if the interpreter has it anyway.
"""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_IMPORT = re.compile(r"\s*(?:import\s+(?:[\w.]+\s*,\s*)*|from\s+)(?P<name>\w+)")
# A cell may be a long text. What matters to its last line is near it.
_MOST_LINES = 500


def named_objects(code: str) -> dict[str, object]:
    """Return the objects by the names that this code gives them, in lines that are whole statements."""
    found: dict[str, object] = {}
    for line in code.splitlines()[-_MOST_LINES:]:
        for part in line.split(";"):
            try:
                statements = ast.parse(part.strip()).body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            for statement in statements:
                found.update(_named_by(statement))
    return found


def imported_names(line: str) -> list[str]:
    """Return the names of modules that may be meant at the end of an import: loaded ones, and Python's own.

    The other modules are in folders, and to list these takes longer.
    """
    unfinished = _IMPORT.fullmatch(line.rpartition(";")[2])
    if unfinished is None:
        return []
    known = {*sys.stdlib_module_names, *(name for name in list(sys.modules) if "." not in name)}
    return sorted(name for name in known if name.startswith(unfinished["name"]))


def _named_by(statement: ast.stmt) -> Iterator[tuple[str, object]]:
    match statement:
        case ast.Import(names):
            for each in names:
                name = each.name if each.asname else each.name.partition(".")[0]
                if name in sys.modules:
                    yield each.asname or name, sys.modules[name]
        case ast.ImportFrom(module=str(module), names=names, level=0):
            members = vars(sys.modules[module]) if module in sys.modules else {}
            for each in names:
                if each.name in members:
                    yield each.asname or each.name, members[each.name]
                elif f"{module}.{each.name}" in sys.modules:
                    yield each.asname or each.name, sys.modules[f"{module}.{each.name}"]
        case ast.Assign(targets=[ast.Name(name)], value=value):
            try:
                yield name, ast.literal_eval(value)
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                pass
