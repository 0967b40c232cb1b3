"""The differences from ipykernel, each with its reason.

`test_notebooks` checks that there are no others, and that each of these still exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Difference:
    """A cell with different outputs. start: the start of the cell's source."""

    notebook: str
    start: str
    reason: str


_SANDBOX = "Cells run in the sandbox, with its own Python environment, name and variables"
_SOCKETS = "The interpreter's sockets are in the sandbox; front ends connect to the kernel"
_SUBCLASS = "The interpreter is a subclass of ipykernel's kernel"
_MAGICS = "The list includes the kernel's magics, and its %%sh replaces IPython's"
_EDITOR = "The kernel passes on no request of the sandbox to start a program on the notebook's machine"
_FROZEN = "The interpreter does not use the frozen standard library, so that a debugger can stop in it"
_SURROGATES = "ipykernel loses a message with a lone surrogate; the kernel shows it as an escape"
_SERIALIZER = "The interpreter serializes what ipykernel cannot, so its own frame is in the traceback"

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
    Difference("magics/more", "%edit", _EDITOR),
    Difference("magics/various", "%lsmagic", _MAGICS),
    Difference("rich/display", 'display({"text/plain": object()}, raw=True)', _SERIALIZER),
    Difference("widgets/comms", 'other.send({"bad": object()})', _SERIALIZER),
    Difference("output/surrogates", "raise ValueError(text)", _SURROGATES),
    Difference("output/surrogates", 'display({"text/plain": text}, raw=True)', _SURROGATES),
]


def listed(
    notebook: str, source: str, differences: Sequence[Difference] = tuple(DIFFERENCES)
) -> Difference | None:
    """Return the difference that is listed for a cell, or None."""
    return next((d for d in differences if d.notebook == notebook and source.startswith(d.start)), None)
