"""Names that a program of this machine may run unasked. No I/O except a search for modules.

Code in the sandbox chooses the names below a copied folder, and those that match a pattern. So a download
leaves out hidden files, which shells, git and editors read by themselves. In a folder that was there
before, it also leaves out what Python, pytest or Jupyter would run from there, such as a `json.py`
beside the notebook. A folder that the download creates may have such files: nothing runs from it yet.
"""

from __future__ import annotations

import posixpath
import re
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from .plan import FOLDER_KINDS, Plan

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

# Python reads the first five when it starts or imports from their folder; the last is pytest's.
_RUN_BY_NAME = ("__init__", "__main__", "__pycache__", "sitecustomize", "usercustomize", "conftest")
_MODULE = re.compile(r"(?P<name>[^.]+)(?:\.[\w-]+)*\.(?:py|pyc|pyw|so|pyd)", re.IGNORECASE)
# Jupyter's programs read these from the folder in which they are started.
_SETTINGS = re.compile(r"(?:jupyter|ipython)_\w*config\.(?:py|json)|jupyter_config\.(?:py|json)|.+\.pth")


@dataclass(frozen=True)
class HeldBack:
    """The part of a plan that is not copied.

    paths: of the topmost entries. modes: the number of files that lose the permission to run.
    """

    paths: list[str]
    modes: int


def hold_back(plan: Plan, kinds: Mapping[str, str], named: Container[str]) -> tuple[Plan, HeldBack]:
    """Return the plan without entries that a program may run by itself, and those.

    kinds: of the plan's folder and destinations, before the copy. named: the places that the person chose.
    """
    packages = {
        folder
        for folder, _, name in (each.place.rpartition("/") for each in plan.entries)
        if name.startswith("__init__.")
    }
    kept, paths, gone, modes = [], [], set(), 0
    for entry in plan.entries:
        folder, _, name = entry.place.rpartition("/")
        if folder in gone:
            gone.add(entry.place)
            continue
        is_new_in_old_folder = (
            kinds.get(posixpath.join(plan.folder, folder) if folder else plan.folder) in FOLDER_KINDS
            and kinds.get(plan.path(entry), "-") == "-"
        )
        runs = runs_by_itself(name) or (entry.place in packages and _is_installed(name))
        if entry.place not in named and (name.startswith(".") or (is_new_in_old_folder and runs)):
            gone.add(entry.place)
            paths.append(entry.path)
        elif entry.executable and not entry.is_folder and entry.place not in named:
            kept.append(replace(entry, executable=False))
            modes += 1
        else:
            kept.append(entry)
    # A link to what is not copied would lead nowhere.
    places = {entry.place for entry in kept}
    broken = {
        each.place for each in kept if each.link is not None and _target(each.place, each.link) not in places
    }
    kept = [entry for entry in kept if entry.place not in broken]
    return Plan(plan.folder, plan.target, kept), HeldBack(paths, modes)


def _target(place: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), link))


def runs_by_itself(name: str) -> bool:
    """Return whether Python, pytest or Jupyter would run a file of this name in its folder by themselves."""
    lowered = name.lower()
    module = _MODULE.fullmatch(name)
    if lowered in _RUN_BY_NAME or _SETTINGS.fullmatch(lowered) is not None:
        return True
    return module is not None and (module["name"].lower() in _RUN_BY_NAME or _is_installed(module["name"]))


@lru_cache(maxsize=1024)
def _is_installed(module: str) -> bool:
    """Return whether this machine's Python has a module that a file of this name would replace."""
    if {module, module.lower()} & sys.stdlib_module_names:
        return True
    try:
        spec = PathFinder.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return False
    return spec is not None and spec.loader is not None
