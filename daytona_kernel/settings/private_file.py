"""The small files of the person, with settings or keys: read with suspicion, written for the owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..file_flags import BINARY, CLOSE_ON_EXEC, NON_BLOCKING, is_own

_LARGEST = 1 << 20


class UnusableFileError(Exception):
    """A file cannot be used. problem: a sentence without its dot. line: where it is; None for nowhere."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


def read_text(file: Path) -> str | None:
    """Return the text of a file of this user or of root; None if there is none. Raises UnusableFileError."""
    try:
        # O_NONBLOCK: opening a FIFO would wait for its other end.
        descriptor = os.open(file, os.O_RDONLY | NON_BLOCKING | CLOSE_ON_EXEC | BINARY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnusableFileError(f"it cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnusableFileError("it is not a file")
        if not is_own(status, 0):
            raise UnusableFileError("it belongs to another user")
        content = opened.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise UnusableFileError("it is larger than 1 MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnusableFileError("this is not UTF-8", content.count(b"\n", 0, error.start) + 1) from None


def write_text(file: Path, text: str) -> None:
    """Replace a file in one step by one for the owner only. Raises OSError."""
    import tempfile  # a kernel, which only reads, does not wait for this import

    target = file.resolve()  # the file may be a link into a folder that the person keeps in git
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(prefix=f".{file.name}-", dir=target.parent)  # for the owner only
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as new:
            new.write(text)
        Path(part).replace(target)
    except OSError:
        Path(part).unlink(missing_ok=True)
        raise
