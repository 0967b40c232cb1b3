"""ipykernel's debugger, which is imported when it is first needed.

It brings debugpy, whose import takes a fifth of an interpreter's start. Few notebooks are debugged, and a
program that runs a notebook asks for no completion.

debugpy changes `sys.path` while it is imported, and so does Jedi while it searches in a thread. So the first
completion imports the debugger, and then Jedi.
"""

from __future__ import annotations

import asyncio
import sys
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from ..wire.postponed_packages import postpone


def use() -> None:
    """Postpone the debugger. ipykernel asks its module whether there is one, and gets the answer."""
    is_there = _is_there()
    postpone("ipykernel.debugger")
    # Private: ipykernel's own name for the answer, which its kernel reads.
    sys.modules["ipykernel.debugger"]._is_debugpy_available = is_there  # type: ignore[attr-defined] # noqa: SLF001
    if is_there:
        sys.breakpointhook = debugpy_breakpointhook


def debugpy_breakpointhook() -> None:
    """Do what debugpy's hook of this name does at a `breakpoint()`: nothing, unless a front end debugs."""
    import_debugger()
    import debugpy  # noqa: T100  # this is not a forgotten breakpoint

    debugpy.breakpoint()  # noqa: T100


debugpy_breakpointhook.__module__ = "debugpy._vendored.force_pydevd"  # programs look whose hook it is


def import_debugger() -> Any:
    """Return ipykernel's class `Debugger`. Its import sets debugpy's hook, but not in place of the user's."""
    hook = sys.breakpointhook
    from ipykernel.debugger import Debugger

    if hook is not debugpy_breakpointhook:
        sys.breakpointhook = hook
    return Debugger


class PostponedDebugger:
    """Stands for ipykernel's `Debugger` with these arguments. Only the control thread uses it."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments
        self._is_made = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._debugger, name)

    async def handle_stopped_event(self) -> None:
        """Wait for the next stop at a breakpoint, and tell the front end."""
        await self._is_made.wait()
        await self._debugger.handle_stopped_event()

    @cached_property
    def _debugger(self) -> Any:
        known = set(sys.modules)
        debugger = import_debugger()(*self._arguments)
        # A cell may import something meanwhile.
        new = [module for name, module in sys.modules.copy().items() if name not in known]
        # The debugger shows no frames of these files. ipykernel lists the files of its imports, too.
        debugger.kernel_modules += [file for each in new if (file := getattr(each, "__file__", None))]
        self._is_made.set()
        return debugger


def _is_there() -> bool:
    try:
        return find_spec("debugpy.server") is not None  # this imports `debugpy`, a small part of it
    except ImportError:
        return False
