"""The form in which entries of a project travel: small files in a tar archive, large ones each by itself."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...errors import FileTransferError
from ...file_flags import BINARY, CLOSE_ON_EXEC, NO_FOLLOW, NON_BLOCKING
from .changes import Known, is_file, sent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..copying.plan import Entry

# A larger file is sent from the disk, and is not in memory at any time.
LARGE_BYTES = 1 << 20
_ARCHIVE_BYTES = 32 << 20


@dataclass
class Load:
    """What one request carries.

    archive: a tar archive of small files, folders and links. large: the other files.
    known: what is known of each entry once it has arrived, by place. size: the bytes of all files.
    """

    archive: bytes = b""
    large: list[Entry] = field(default_factory=list)
    known: dict[str, Known] = field(default_factory=dict)
    size: int = 0


def pack(entries: Iterable[Entry]) -> Iterator[Load]:
    """Yield the loads of some entries. Each is read when it is wanted. Raises FileTransferError.

    A file that is gone meanwhile is left out. The next look at the folder finds it gone.
    """
    load, box = Load(), _Archive()
    for entry in entries:
        if is_file(entry) and entry.size >= LARGE_BYTES:
            load.large.append(entry)
            load.known[entry.place] = sent(entry)
            load.size += entry.size
        else:
            _add(box, entry, load)
        if box.size >= _ARCHIVE_BYTES:
            yield replace(load, archive=box.close())
            load, box = Load(), _Archive()
    if load.known:
        yield replace(load, archive=box.close())


class _Archive:
    """A tar archive in memory."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.TarFile(mode="w", fileobj=self._buffer, format=tarfile.GNU_FORMAT)

    @property
    def size(self) -> int:
        return self._buffer.tell()

    def add(self, header: tarfile.TarInfo, content: bytes = b"") -> None:
        header.size = len(content)
        self._tar.addfile(header, io.BytesIO(content))

    def close(self) -> bytes:
        self._tar.close()
        return self._buffer.getvalue()


def _add(archive: _Archive, entry: Entry, load: Load) -> None:
    header = tarfile.TarInfo(entry.place)
    header.mode = 0o755 if entry.is_folder or entry.executable else 0o644
    header.mtime = entry.modified // 10**9
    if entry.is_folder:
        header.type = tarfile.DIRTYPE
    elif entry.link is not None:
        header.type, header.linkname = tarfile.SYMTYPE, entry.link
    if not is_file(entry):
        archive.add(header)
        load.known[entry.place] = sent(entry)
        return
    try:
        content = read_small(entry.path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise FileTransferError(f"{entry.path} cannot be read: {error.strerror}.") from None
    archive.add(header, content)
    load.known[entry.place] = sent(replace(entry, size=len(content)), digest_of(content))
    load.size += len(content)


def read_small(path: str) -> bytes:
    """Return the content of a small file, or the beginning of one that has grown. Raises OSError."""
    # A FIFO that takes the file's place must not block, and a link must not lead elsewhere.
    opened = os.open(path, os.O_RDONLY | NO_FOLLOW | NON_BLOCKING | CLOSE_ON_EXEC | BINARY)
    with os.fdopen(opened, "rb") as file:
        return file.read(LARGE_BYTES)


def digest_of(content: bytes) -> bytes:
    """Return the digest by which two contents of this machine are compared."""
    return hashlib.blake2b(content, digest_size=16).digest()
