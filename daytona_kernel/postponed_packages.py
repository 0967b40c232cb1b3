"""Packages that run their `__init__` only when somebody uses a name in it.

`import ipykernel.kernelbase` first imports the package `ipykernel`, and that imports all of jupyter_client.
The package `IPython` imports its whole shell. A kernel uses a few of their modules, and starts with a
quarter less CPU time without the rest.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any


def postpone(*names: str) -> None:
    """Postpone packages that are not imported yet. Imports of their modules work as always.

    The `LazyLoader` of importlib would run a package's `__init__` at the first import of one of its modules.
    """
    for name in names:
        if name not in sys.modules and (spec := find_spec(name)) is not None:
            package = module_from_spec(spec)
            package.__class__ = _Postponed
            sys.modules[name] = package
            _waiting.add(package)


class _Postponed(ModuleType):
    """A package before its `__init__` has run. Python asks it here for the names that it lacks."""

    def __getattr__(self, name: str) -> Any:
        with _lock:  # another thread may be running it
            if self in _waiting:
                _waiting.remove(self)
                assert self.__spec__ is not None
                assert self.__spec__.loader is not None
                self.__spec__.loader.exec_module(self)
                self.__class__ = ModuleType  # type: ignore[assignment]  # an ordinary module from now on
        return ModuleType.__getattribute__(self, name)


_lock = RLock()
_waiting: set[ModuleType] = set()
