"""The flags of `os.open` and the owners of files, also on systems that lack them."""

from __future__ import annotations

import os

# A system without a flag has no links, FIFOs or inheritance of that kind, or Python sets the flag itself.
NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
NON_BLOCKING: int = getattr(os, "O_NONBLOCK", 0)
CLOSE_ON_EXEC: int = getattr(os, "O_CLOEXEC", 0)
BINARY: int = getattr(os, "O_BINARY", 0)
DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)


def is_own(status: os.stat_result, *others: int) -> bool:
    """Return whether a file belongs to this user, or to one of `others`. Windows has no such owners."""
    geteuid = getattr(os, "geteuid", None)
    return geteuid is None or status.st_uid in (geteuid(), *others)
