"""The list of all magics, in the order in which a reader should meet them."""

from __future__ import annotations

from .code_run import CodeRunMagic
from .daytona import DaytonaMagic
from .files import FileMagics
from .local import LocalMagics
from .registry import Registry
from .sandbox import SandboxMagic
from .secret import SecretMagic
from .session import SessionMagic
from .sh import ShellMagic
from .sync import SyncMagic


def declare_all() -> Registry:
    """Return a registry of all magics."""
    registry = Registry()
    for magics in (
        ShellMagic,
        SessionMagic,
        CodeRunMagic,
        FileMagics,
        SecretMagic,
        SyncMagic,
        SandboxMagic,
        DaytonaMagic,
        LocalMagics,
    ):
        registry.add(magics())
    return registry
