"""The plan of a copy, by the rules of `cp -r`, for both directions. No I/O.

The target is a folder if it exists as one, ends in `/`, or takes several sources. Otherwise it is the new
name of the one source. A folder is copied with its contents, and merged into an existing folder.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...errors import MagicUsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

# The kinds of what exists at a path: a folder, and a link to one. Others are `f`, a file, and `-`, nothing.
FOLDER_KINDS = ("d", "l")
OWNER_MAY_RUN = 0o100  # of a file's mode


@dataclass(frozen=True)
class Entry:
    """A file, a folder or a link to copy.

    path: its location now. place: its destination below the source's own; "" for the source itself.
    size: in bytes. executable: whether its owner may run it. link: the path in a link; None for no link.
    modified: when it was changed last, in nanoseconds since 1970; 0 if nobody has asked.
    """

    path: str
    place: str
    is_folder: bool
    size: int = 0
    executable: bool = False
    link: str | None = None
    modified: int = 0


@dataclass(frozen=True)
class Source:
    """A file, or a folder with its contents, that is to be copied.

    entries: the source comes first. skipped: the paths that cannot be copied.
    is_named: whether the person has written the source's own name, and not a pattern that it matches.
    """

    path: str
    entries: Sequence[Entry]
    skipped: Sequence[str] = ()
    is_named: bool = True

    @property
    def name(self) -> str:
        """The last part of its path."""
        return posixpath.basename(posixpath.normpath(self.path))


@dataclass(frozen=True)
class Plan:
    """The destinations of a copy.

    folder: the folder that receives everything. target: the destination as messages show it.
    entries: with their places below the folder.
    """

    folder: str
    target: str
    entries: Sequence[Entry] = field(repr=False)

    @property
    def files(self) -> list[Entry]:
        """The entries that hold bytes."""
        return [entry for entry in self.entries if not entry.is_folder and entry.link is None]

    @property
    def links(self) -> list[Entry]:
        """The links that the copy creates, after all else."""
        return [entry for entry in self.entries if entry.link is not None]

    @property
    def folders(self) -> list[Entry]:
        """The folders that the copy creates."""
        return [entry for entry in self.entries if entry.is_folder]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(entry.size for entry in self.files)

    @property
    def paths(self) -> list[str]:
        """The destinations of all entries."""
        return [self.path(entry) for entry in self.entries]

    def path(self, entry: Entry) -> str:
        """Return the destination of an entry."""
        return posixpath.join(self.folder, entry.place)


def plan_copy(sources: Sequence[Source], target: str, *, into: bool) -> Plan:
    """Return the plan for a copy. target: an absolute path. into: whether the target is a folder.

    Raises MagicUsageError if two sources have the same name.
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
            raise MagicUsageError(f"Two of the sources have the name {name!r}: copy them one by one.")
        seen.add(name)
        for entry in source.entries:
            place = posixpath.join(name, entry.place) if entry.place else name
            entries.append(replace(entry, place=place))
    shown = folder if len(sources) != 1 else posixpath.join(folder, names[0])
    return Plan(folder, shown, entries)


def refuse_root(path: str) -> None:
    """Raise MagicUsageError for `/`, and for a drive of Windows."""
    if re.fullmatch("([A-Za-z]:)?/", path):
        raise MagicUsageError(f"Refusing to copy {path}: name the folders to copy.")


def split_links(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Return the entries of a source without the links that lead elsewhere, and the paths of those.

    A link is kept if its path leads to another entry, straight through folders of the copy. So a copied
    link never leads out of the copy, whatever is at the destination already.
    """
    kept = {entry.place for entry in entries if entry.link is None}
    links: dict[str, list[str]] = {}
    for entry in entries:
        if entry.link is not None and (target := _target_place(entry.place, entry.link)) is not None:
            links.setdefault(target, []).append(entry.place)
    pending = list(kept)
    while pending:
        # A link to a kept link is kept, too.
        reached = links.get(pending.pop(), [])
        kept.update(reached)
        pending += reached
    return (
        [entry for entry in entries if entry.place in kept],
        [entry.path for entry in entries if entry.place not in kept],
    )


def _target_place(place: str, link: str) -> str | None:
    """Return the place that a link leads to; None if that is not certain, or not below the source."""
    folders = place.split("/")[:-1]
    steps = link.rstrip("/").removeprefix("./").split("/")
    while steps and steps[0] == "..":
        # Only at the beginning: `..` behind another link leads elsewhere than the text says.
        if not folders:
            return None
        folders.pop()
        del steps[0]
    if any(step in ("", ".", "..") for step in steps):
        return None
    return "/".join([*folders, *steps])
