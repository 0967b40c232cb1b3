"""`%pip` and its siblings install for the interpreter, and say so if the sandbox has no network.

An image may reserve its Python for its own package manager. pip and uv then refuse, although nobody but the
person at the notebook uses the sandbox, so these magics give their consent. If the account may not write to
the image's packages, the installers use a folder in its home. This Python imports from there only if the
folder existed when it started, so these magics add a new one.

Without a network, the installers' own errors name a host and an errno.
"""

from __future__ import annotations

import importlib
import os
import site
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = ("pip", "uv", "conda", "mamba", "micromamba")
_CONSENT = ("PIP_BREAK_SYSTEM_PACKAGES", "UV_BREAK_SYSTEM_PACKAGES")
_ROUTES = ("/proc/net/route", "/proc/net/ipv6_route")  # of each line, one word is the interface
_LOOPBACK = "lo"
NO_NETWORK = (
    "The sandbox has no network, so {name} cannot load packages. Run %daytona to see why, or copy packages "
    "into the sandbox with %upload.\n"
)


def adapt(shell: Any) -> None:
    """Let each of these magics of an IPython shell install for this interpreter, and explain its failure."""
    for name in _NAMES:
        function = shell.find_line_magic(name)
        if function is not None:
            shell.register_magic_function(_adapted(shell, name, function), "line", name)


def _adapted(shell: Any, name: str, function: Any) -> Any:
    def run(line: str) -> Any:
        with _consent():
            result = function(line)
        _find_new_folders()
        if shell.user_ns.get("_exit_code") and not has_network():
            sys.stderr.write(NO_NETWORK.format(name=name))
        return result

    run.__name__ = name
    run.__doc__ = function.__doc__
    return run


@contextmanager
def _consent() -> Iterator[None]:
    """Let the commands of a block change a Python that the image's package manager manages."""
    added = [name for name in _CONSENT if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _find_new_folders() -> None:
    """Import from the folders of packages that are new since this Python has started, in its own order."""
    folders = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    folders += site.getsitepackages()
    known = list(sys.path)
    place = min((known.index(each) for each in folders if each in known), default=len(known))
    for folder in folders:
        if folder in known:
            place = known.index(folder) + 1
        elif Path(folder).is_dir():
            site.addsitedir(folder)
            new = sys.path[len(known) :]
            known[place:place] = new
            sys.path[:] = known
            place += len(new)
    importlib.invalidate_caches()


def has_network() -> bool:
    """Return whether this machine has a route other than to itself, or does not say."""
    try:
        lines = [line.split() for path in _ROUTES for line in Path(path).read_text().splitlines()]
    except OSError:
        return True
    return any(words and words[0] != "Iface" and _LOOPBACK not in words for words in lines)
