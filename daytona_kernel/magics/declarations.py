"""All magics of the kernel, in the order in which a person should meet them."""

from __future__ import annotations

from . import code_run, daytona, files, local, sandbox, session, sh
from .registry import Registry


def declared() -> Registry:
    """Return a registry of all magics."""
    registry = Registry()
    for module in (sh, session, code_run, files, sandbox, daytona, local):
        module.declare(registry)
    return registry
