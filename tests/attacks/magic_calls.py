"""A kernel whose sandbox calls magics, and what has become of the calls."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kernel.driver import Driver

REFUSED = "PermissionRefusedError"


def loot(kernel: Driver) -> list[str]:
    """Return the names of the files that have reached the sandbox."""
    names: list[str] = ast.literal_eval(
        kernel.run(
            "sorted(str(p.relative_to('.')) for p in pathlib.Path('.').rglob('*') if p.is_file())",
            allow_stdin=False,
        ).result
    )
    return [name for name in names if name != "evil.txt"]


def outcomes(kernel: Driver) -> list[Any]:
    """Return the outcomes of the calls from threads, in their order."""
    found: list[Any] = ast.literal_eval(
        kernel.run("[t.join(20) for t in threads]; outcomes", allow_stdin=False).result
    )
    return found


def refused(kernel: Driver, code: str) -> str:
    """Run a cell that must be refused where nobody can be asked; return the message."""
    answer = kernel.run(code, allow_stdin=False)
    assert answer.reply["status"] == "error", answer.stdout
    assert answer.error["ename"] == REFUSED
    return str(answer.error["evalue"])
