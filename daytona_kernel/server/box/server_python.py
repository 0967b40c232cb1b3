"""The server's Python for boxes that stand on an image, which may have no Python and another C library.

The supervisor of a box is a Python program. In a box on an image, it runs with the machine's Python, loader
and libraries, which are in a separate directory. Programs of the image never use them.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from functools import cache

from .python_environment import base_python
from .python_files import SYSTEM, outermost

SEEN_AS = "/run/server"
_LOADER = re.compile(r"/(?:ld-linux|ld64|ld-musl|ld\.so|ld-2)[^/]*$")
_PATH_FIELD = 5
_LIBRARY = re.compile(r"\.so(?:\.[\d.]+)?$")


@dataclass(frozen=True, slots=True)
class ServerPython:
    """How the server's Python gets into a box: options of bubblewrap, and the words in front of a program."""

    mounts: tuple[str, ...]
    loader: tuple[str, ...]

    def command(self, program: str) -> list[str]:
        """Return the words that start `program`, an absolute path of this machine, inside."""
        return [*self.loader, SEEN_AS + os.path.realpath(program)]


@cache
def server_python() -> ServerPython:
    """Return the server's Python. Raises `RuntimeError` if this process has no dynamic loader."""
    mapped = _mapped_files()
    loader = next(filter(_LOADER.search, mapped), None)
    if loader is None:
        raise RuntimeError("this Python has no dynamic loader, so sandboxes cannot stand on local snapshots")
    libraries = dict.fromkeys(os.path.dirname(path) for path in mapped if _LIBRARY.search(path))
    mounts: list[str] = []
    for path in SYSTEM:
        if os.path.islink(path):
            mounts += ["--symlink", os.readlink(path).lstrip("/"), f"{SEEN_AS}{path}"]
        elif os.path.isdir(path):
            mounts += ["--ro-bind", path, f"{SEEN_AS}{path}"]
    program = os.path.realpath(base_python())
    for path in outermost([*(f"{sys.base_prefix}/{part}" for part in ("lib", "lib64")), program]):
        mounts += ["--ro-bind", path, f"{SEEN_AS}{path}"]
    found = ":".join(f"{SEEN_AS}{directory}" for directory in libraries)
    return ServerPython(tuple(mounts), (f"{SEEN_AS}{loader}", "--library-path", found))


def _mapped_files() -> list[str]:
    """Return the files that this process has mapped, as the system names them."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as lines:
        words = [line.rstrip("\n").split(maxsplit=_PATH_FIELD)[_PATH_FIELD:] for line in lines]
    return [path for path in dict.fromkeys(path for found in words for path in found) if path[:1] == "/"]
