"""What a copy does, by the rules of `cp -r`; no I/O. The same for both directions.

The target is a folder when it is one, ends in `/`, or takes several sources; otherwise it is the
new name of the one source. A folder is copied with all that is in it, into one that is there.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...errors import MagicUsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Entry:
    """A file or folder. path: where it is. place: where it goes, below its source; "" for that itself.

    size: in bytes. executable: for whoever owns it.
    """

    path: str
    place: str
    is_folder: bool
    size: int = 0
    executable: bool = False


@dataclass(frozen=True)
class Source:
    """What is to be copied: a file, or a folder with all that is in it.

    entries: the source first. skipped: the paths that cannot be copied, each with the reason.
    """

    path: str
    entries: Sequence[Entry]
    skipped: Sequence[str] = ()

    @property
    def name(self) -> str:
        """What it is called."""
        return posixpath.basename(posixpath.normpath(self.path))


@dataclass(frozen=True)
class Plan:
    """folder: where everything goes. entries: with their places below that. target: for a person."""

    folder: str
    target: str
    entries: Sequence[Entry] = field(repr=False)

    @property
    def files(self) -> list[Entry]:
        """The entries that hold bytes."""
        return [entry for entry in self.entries if not entry.is_folder]

    @property
    def folders(self) -> list[Entry]:
        """The folders that shall be there."""
        return [entry for entry in self.entries if entry.is_folder]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)

    def path(self, entry: Entry) -> str:
        """Where an entry goes."""
        return posixpath.join(self.folder, entry.place)


def plan_copy(sources: Sequence[Source], target: str, *, into: bool) -> Plan:
    """Return what goes where. target: an absolute path. into: whether that is to be taken as a folder.

    Raises MagicUsageError when two sources would become one.
    """
    target = target.rstrip("/") or "/"
    if into or len(sources) != 1:
        folder, names = target, [source.name for source in sources]
    else:
        folder, name = posixpath.split(target)
        names = [name]
    entries, seen = [], set()
    for source, name in zip(sources, names, strict=True):
        if name in seen:
            raise MagicUsageError(f"Two of the sources are called {name!r}: copy them one by one.")
        seen.add(name)
        for entry in source.entries:
            place = posixpath.join(name, entry.place) if entry.place else name
            entries.append(Entry(entry.path, place, entry.is_folder, entry.size, entry.executable))
    shown = folder if len(sources) != 1 else posixpath.join(folder, names[0])
    return Plan(folder, shown, entries)


def refuse_root(path: str) -> None:
    """Raise MagicUsageError for `/`, which is no folder among others."""
    if path == "/":
        raise MagicUsageError("/ is everything there is: name the folders in it that are to be copied.")
