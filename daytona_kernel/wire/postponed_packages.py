"""Packages and modules that run only when somebody uses a name in them.

`import ipykernel.kernelbase` first imports the package `ipykernel`, and that imports all of jupyter_client.
The package `IPython` imports its whole shell. Kernel and interpreter use a few modules of them, and start
with less CPU time without the rest.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def postpone(package: str, **names: str) -> None:
    """Postpone a package or a module, unless it is imported or missing. Imports of a package's modules work.

    names: names that are used in the package, each with the module of the package that defines it. Their use
        does not run the package.

    The `LazyLoader` of importlib would run a package's `__init__` at the first import of one of its modules.
    """
    if package not in sys.modules and (spec := find_spec(package)) is not None:
        module = module_from_spec(spec)
        module.__class__ = _Postponed
        sys.modules[package] = module
        _waiting[module] = names


class _Postponed(ModuleType):
    """A package before its `__init__` has run. Python asks it here for the names that it lacks."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # each `from … import` asks for it, and only a package has it
            raise AttributeError(name)
        if name in _waiting.get(self, ()):
            return getattr(import_module(f"{self.__name__}.{_waiting[self][name]}"), name)
        self._run()
        return ModuleType.__getattribute__(self, name)

    def __dir__(self) -> list[str]:
        self._run()
        return list(ModuleType.__dir__(self))

    def _run(self) -> None:
        with _lock:  # another thread may be running it
            if self in _waiting:
                del _waiting[self]
                assert self.__spec__ is not None
                assert self.__spec__.loader is not None
                self.__spec__.loader.exec_module(self)
                self.__class__ = ModuleType  # type: ignore[assignment]  # an ordinary module from now on


_lock = RLock()
_waiting: dict[ModuleType, Mapping[str, str]] = {}
