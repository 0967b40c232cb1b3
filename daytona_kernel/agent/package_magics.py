"""`%pip` and its siblings say so if the sandbox has no network: their own errors name a host and an errno."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_NAMES = ("pip", "uv", "conda", "mamba", "micromamba")
_ROUTES = ("/proc/net/route", "/proc/net/ipv6_route")  # of each line, one word is the interface
_LOOPBACK = "lo"
NO_NETWORK = (
    "The sandbox has no network, so {name} cannot load packages. Run %daytona to see why, or copy packages "
    "into the sandbox with %upload.\n"
)


def explain_failures(shell: Any) -> None:
    """Let each of these magics of an IPython shell explain its failure."""
    for name in _NAMES:
        function = shell.find_line_magic(name)
        if function is not None:
            shell.register_magic_function(_explaining(shell, name, function), "line", name)


def _explaining(shell: Any, name: str, function: Any) -> Any:
    def run(line: str) -> Any:
        result = function(line)
        if shell.user_ns.get("_exit_code") and not has_network():
            sys.stderr.write(NO_NETWORK.format(name=name))
        return result

    run.__name__ = name
    run.__doc__ = function.__doc__
    return run


def has_network() -> bool:
    """Return whether this machine has a route other than to itself, or does not say."""
    try:
        lines = [line.split() for path in _ROUTES for line in Path(path).read_text().splitlines()]
    except OSError:
        return True
    return any(words and words[0] != "Iface" and _LOOPBACK not in words for words in lines)
