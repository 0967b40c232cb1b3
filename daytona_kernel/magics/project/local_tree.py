"""The project's folder on this machine: which files it has now, and which of them are copied.

Before each cell the whole tree is looked at, so this is written for speed. It reads no file but those with
rules. It enters no folder through a link.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import FileTransferError
from ...formatting import format_bytes
from ..copying.local_files import is_text
from ..copying.plan import OWNER_MAY_RUN, Entry, split_links
from .rules import GIT_FILE, OWN_FILE, Rules, Verdict

MOST_FILES = 20_000
MOST_BYTES = 2_000_000_000
_MOST_RULES = 1 << 20  # bytes of an ignore file
_ENVIRONMENT_MARK = "pyvenv.cfg"
_SHOWN = 3


@dataclass
class Found:
    """A tree at one moment.

    entries: what is copied, by place. secrets: the places that look like secrets, and are left out.
    skipped: the paths that cannot be copied: unreadable and special files, and links that lead elsewhere.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    size: int = 0


class LocalTree:
    """The tree below a folder. own_file: the name of the notebook in that folder, which is not copied."""

    def __init__(self, root: str, own_file: str = "") -> None:
        self.root = root
        self.rules = Rules()
        self._own_file = own_file
        # The size and time of each file with rules, by its place.
        self._stamps: dict[str, tuple[int, int] | None] = {}

    def look(self) -> Found:
        """Return what the tree has now. Raises FileTransferError if that is too much, or not readable."""
        found = Found()
        links: list[Entry] = []
        try:
            self._add_folder(self.root, "", found, links)
            for place in self.rules.named:
                self._add_named(place, found, links)
        except OSError as error:
            raise FileTransferError(f"{error.filename} cannot be read: {error.strerror}.") from None
        if links:
            kept, elsewhere = split_links([*found.entries.values(), *links])
            found.entries = {entry.place: entry for entry in kept}
            found.skipped += elsewhere
        return found

    def _add_folder(self, path: str, place: str, found: Found, links: list[Entry]) -> None:
        with os.scandir(path) as inside:
            entries = list(inside)
        names = {each.name for each in entries}
        for name in (GIT_FILE, OWN_FILE):
            self._read_rules(path, place, name, is_there=name in names)
        prefix = f"{place}/" if place else ""
        for each in entries:
            below = prefix + each.name
            if below == self._own_file:
                continue
            is_folder = each.is_dir(follow_symlinks=False)
            verdict = self.rules.verdict(below, is_folder=is_folder)
            if verdict is Verdict.COPIED:
                self._add(each, below, found, links, is_folder=is_folder)
            elif verdict is Verdict.SECRET:
                found.secrets.append(below)

    def _add(
        self, each: os.DirEntry[str], place: str, found: Found, links: list[Entry], *, is_folder: bool
    ) -> None:
        if not is_text(each.path):
            found.skipped.append(os.fsencode(each.path).decode("utf-8", "backslashreplace"))
        elif is_folder:
            if os.path.lexists(f"{each.path}/{_ENVIRONMENT_MARK}"):
                return  # a Python environment has the paths of this machine
            if not os.access(each.path, os.R_OK | os.X_OK):
                found.skipped.append(each.path)
                return
            found.entries[place] = Entry(each.path, place, True)
            self._add_folder(each.path, place, found, links)
        elif each.is_symlink():
            target = os.readlink(each.path)  # noqa: PTH115 - a str, not a Path
            if is_text(target):
                links.append(Entry(each.path, place, False, link=target))
            else:
                found.skipped.append(each.path)
        else:
            self._add_file(each.path, place, each.stat(follow_symlinks=False), found)

    def _add_file(self, path: str, place: str, about: os.stat_result, found: Found) -> None:
        if not stat.S_ISREG(about.st_mode):
            found.skipped.append(path)
            return
        found.entries[place] = Entry(
            path,
            place,
            False,
            about.st_size,
            executable=bool(about.st_mode & OWNER_MAY_RUN),
            modified=about.st_mtime_ns,
        )
        found.size += about.st_size
        if len(found.entries) > MOST_FILES or found.size > MOST_BYTES:
            raise _too_much(self.root, found)

    def _add_named(self, place: str, found: Found, links: list[Entry]) -> None:
        """Add an entry that the person has named, and the folders above it, although rules leave it out."""
        if place in found.entries:
            return
        path = Path(self.root, place)
        if not path.exists() or Path(os.path.realpath(path.parent)) != path.parent:
            return  # it is gone, or behind a link
        for parent in reversed(Path(place).parents[:-1]):
            found.entries.setdefault(str(parent), Entry(f"{self.root}/{parent}", str(parent), True))
        if path.is_dir() and not path.is_symlink():
            found.entries[place] = Entry(str(path), place, True)
            self._add_folder(str(path), place, found, links)
        else:
            self._add_file(str(path), place, path.lstat(), found)

    def _read_rules(self, path: str, place: str, name: str, *, is_there: bool) -> None:
        key = f"{place}/{name}"
        stamp = None
        if is_there:
            about = os.stat(f"{path}/{name}")  # noqa: PTH116 - as fast as it can be
            stamp = (about.st_size, about.st_mtime_ns) if stat.S_ISREG(about.st_mode) else None
        if stamp == self._stamps.get(key):
            return
        self._stamps[key] = stamp
        text = None
        if stamp is not None:
            with Path(path, name).open(encoding="utf-8", errors="replace") as file:
                text = file.read(_MOST_RULES)
        self.rules.set_file(place, name, text)


def _too_much(root: str, found: Found) -> FileTransferError:
    """Return an error that names the folders that have most, as far as they were looked at."""
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for place, entry in found.entries.items():
        top, below, _ = place.partition("/")
        if below:
            counts[top] += 1
            sizes[top] += entry.size
    largest = sizes if found.size > MOST_BYTES else counts
    named = ", ".join(f"{top}/" for top, _ in largest.most_common(_SHOWN)) or "single files"
    return FileTransferError(
        f"The project {root} has more than {MOST_FILES:,} files or {format_bytes(MOST_BYTES)}, which is the "
        f"limit; most of it is in {named}. Nothing was sent. Leave folders out with {OWN_FILE}, which has "
        "the format of .gitignore, or name a smaller folder in the setting project."
    )
