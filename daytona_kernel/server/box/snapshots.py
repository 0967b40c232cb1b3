"""Local snapshots: directories with a root file system, such as `docker export` and `mmdebstrap` make.

A sandbox that is created from one sees the directory's programs in place of the machine's, read-only.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ...wire.conventions import LOCAL_SNAPSHOTS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_ENVIRONMENT_BYTES = 1 << 16
_OWN_NAMES = {"HOME", "USER", "LOGNAME", "TMPDIR", "DAYTONA_SANDBOX_ID"}


def parse_snapshots(words: Iterable[str]) -> dict[str, str]:
    """Return the directory of each snapshot, by name. A word is `NAME=DIRECTORY`.

    Raises `ValueError` with a clause about the first word that is not valid.
    """
    found = {}
    for word in words:
        name, separator, path = word.partition("=")
        if not separator or not _NAME.fullmatch(name):
            raise ValueError(f"{word!r} is not NAME=DIRECTORY")
        directory = os.path.abspath(os.path.expanduser(path))
        if not os.path.isdir(directory):
            raise ValueError(f"the snapshot {name} is in {directory}, which is not a directory")
        if not any(os.path.lexists(f"{directory}{shell}") for shell in ("/bin/sh", "/usr/bin/sh")):
            raise ValueError(
                f"{directory}, the snapshot {name}, is not a root file system: it has no /bin/sh"
            )
        found[name] = directory
    return found


def snapshots_of_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the snapshots that the setting names. Raises `ValueError` with a sentence."""
    words = [word for word in environ.get(LOCAL_SNAPSHOTS_VARIABLE, "").split(os.pathsep) if word]
    try:
        return parse_snapshots(words)
    except ValueError as error:
        raise ValueError(f"{LOCAL_SNAPSHOTS_VARIABLE} is not valid: {error}.") from None


def environment_of(root: str) -> dict[str, str]:
    """Return the variables in the root's `/etc/environment`, where an image's `PATH` and the like stand.

    A link there is not followed, because it would lead out of the directory.
    """
    try:
        fd = os.open(f"{root}/etc/environment", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            text = file.read(_ENVIRONMENT_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    found = {}
    for line in text.splitlines():
        match = _ASSIGNMENT.fullmatch(line.strip())
        if match and match[1] not in _OWN_NAMES and "\0" not in line:
            found[match[1]] = match[2].strip("\"'")
    return found
