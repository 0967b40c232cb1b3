"""What differs from ipykernel, each with its reason.

`test_notebooks` checks that nothing else does, and that these still do.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """A cell whose outputs differ. begins: how the cell's source begins."""

    notebook: str
    begins: str
    reason: str


_SANDBOX = "Cells run in the sandbox, with its own Python environment, name and variables"
_SOCKETS = "The interpreter's sockets lie in the sandbox; front ends connect to the kernel"
_SUBCLASS = "The sandbox's kernel is a subclass of ipykernel's, with an answer for what ipykernel leaves open"
_MAGICS = "The kernel's own magics are listed too, and its %%sh stands in the place of IPython's"
_FROZEN = "The standard library is not frozen in the sandbox's interpreter, so that a debugger can stop in it"

DIFFERENCES = [
    Difference("execution/place", "sys.executable", _SANDBOX),
    Difference("execution/place", "sys.prefix", _SANDBOX),
    Difference("execution/place", "socket.gethostname()", _SANDBOX),
    Difference("execution/place", 'os.environ.get("JPY_PARENT_PID")', _SANDBOX),
    Difference("execution/place", 'os.environ.get("DAYTONA_SANDBOX_ID")', _SANDBOX),
    Difference("execution/place", 'os.environ.get("ONLY_AT_HOME")', _SANDBOX),
    Difference("execution/place", "get_ipython().kernel.__class__", _SUBCLASS),
    Difference("execution/place", "get_ipython().config", _SOCKETS),
    Difference("execution/place", "%connect_info", _SOCKETS),
    Difference("execution/place", "os.path.join?", _FROZEN),
    Difference("magics/help", "%quickref", _MAGICS),
    Difference("magics/various", "%lsmagic", _MAGICS),
]


def listed(notebook: str, source: str) -> Difference | None:
    """The difference that is listed for a cell, or None."""
    return next((d for d in DIFFERENCES if d.notebook == notebook and source.startswith(d.begins)), None)
