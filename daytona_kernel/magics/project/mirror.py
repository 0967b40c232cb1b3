"""A project of this machine, and its copy in the kernel's sandbox.

The mirror knows what it has sent to which sandbox. A sandbox that it does not know is asked what it has, so
that a restarted kernel sends nothing twice, and a new sandbox gets the whole project.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import posixpath
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import FileTransferError
from ...project_folder import project_folder
from ..copying.reports import join_names, readable
from .changes import (
    Arrivals,
    Departures,
    Known,
    arrivals,
    below,
    compare,
    departures,
    is_as_sent,
    is_file,
    outdated,
)
from .local_tree import LocalTree
from .packing import LARGE_BYTES, digest_of, pack, read_small
from .progress import Progress
from .remote_copy import RemoteCopy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ...client.sandbox import AsyncSandbox
    from ..copying.plan import Entry
    from .local_tree import Found
    from .packing import Load

_HASH_BYTES = 1 << 20


@dataclass
class Pushed:
    """What a push has done. files, size: sent. removed: there. skipped: paths that cannot be sent.

    kept: places of files that are gone here and stay there.
    """

    files: int = 0
    size: int = 0
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


class Mirror:
    """The project below a folder, and its copy. It belongs to the API thread's loop.

    folder: as in the setting. notebook: the path of the kernel's notebook, which is not copied; "" for none.
    """

    def __init__(self, folder: str, notebook: str = "") -> None:
        self._folder = folder
        self._notebook = notebook
        self._tree: LocalTree | None = None
        self._lock = asyncio.Lock()
        self._sandbox_id = ""
        self._path = ""
        # Whether the sandbox must be asked what it has, and whether it has nothing.
        self._must_compare, self._is_empty = True, False
        self.known: dict[str, Known] = {}
        self.progress = Progress()

    async def path_in(self, sandbox: AsyncSandbox) -> str:
        """Return the path of the copy in a sandbox. Raises DaytonaError."""
        if self._sandbox_id != sandbox.id or not self._path:
            self._path = posixpath.join(await sandbox.get_work_dir(), Path(self.tree.root).name)
            self._sandbox_id, self.known = sandbox.id, {}
            self._must_compare = True
        return self._path

    async def start_folder(self, sandbox: AsyncSandbox) -> str:
        """Return where cells start in a sandbox: in the copy of the notebook's folder, if that has one."""
        return posixpath.normpath(
            posixpath.join(await self.path_in(sandbox), _notebook_place(self.tree.root))
        )

    @property
    def tree(self) -> LocalTree:
        """The tree here. Raises MagicUsageError if there is no such folder."""
        if self._tree is None:
            root = project_folder(self._folder)
            notebook = os.path.realpath(self._notebook) if self._notebook else ""
            own = Path(notebook).relative_to(root).as_posix() if Path(notebook).is_relative_to(root) else ""
            self._tree = LocalTree(root, own)
        return self._tree

    async def push(
        self,
        sandbox: AsyncSandbox,
        *,
        names: Collection[str] = (),
        force: bool = False,
        delete: bool = False,
    ) -> Pushed:
        """Send what has changed here. If nothing has, no request is made.

        names: places that are sent although rules leave them out, from now on.
        force: also send what the sandbox has changed or removed, over its own version.
        delete: remove there what was sent and is gone here.

        Raises ProjectError if both sides have changed a file, and other DaytonaErrors. Then nothing, or whole
        files have been sent, and the next push sends the rest.
        """
        async with self._lock:
            copy = RemoteCopy(sandbox, await self.path_in(sandbox))
            self.tree.rules.name(names)
            found = await asyncio.to_thread(self.tree.look)
            if self._must_compare or force:
                await self._compare(copy, found, force=force)
            leaving = departures(found.entries, self.known)
            changed = leaving.changed
            if leaving.doubtful:
                changed += await self._really_changed(copy, leaving.doubtful)
            pushed = Pushed(secrets=found.secrets, skipped=found.skipped)
            try:
                await self._send(copy, changed, pushed, force=force)
            except BaseException:
                self._must_compare = True
                raise
            if delete:
                await copy.remove(leaving.gone)
                for place in leaving.gone:
                    del self.known[place]
                pushed.removed = leaving.gone
            else:
                pushed.kept = leaving.gone
            return pushed

    async def _compare(self, copy: RemoteCopy, found: Found, *, force: bool) -> None:
        """Find out what a sandbox has already. force: what differs there is not known, and so is sent."""
        there = await copy.entries()
        compared = compare(found.entries, there)
        if force:
            gone = self.known.keys() - found.entries.keys()
            self.known = {place: self.known[place] for place in gone & there.keys()}
            compared.same = {place: each for place, each in compared.same.items() if each.remote_size >= 0}
        self.known.update(compared.same)
        equal = await self._equal(copy, compared.doubtful)
        for entry in compared.doubtful:
            other = there[entry.place]
            if entry.place in equal:
                self.known[entry.place] = Known(entry, other.size, other.modified)
            elif is_as_sent(other):
                self.known[entry.place] = outdated(entry, other)
            elif other.modified > entry.modified and not force:
                self.known[entry.place] = Known(entry, -1, -1)
        self._must_compare, self._is_empty = False, not there

    async def _really_changed(self, copy: RemoteCopy, doubtful: Iterable[Entry]) -> list[Entry]:
        """Return those of some files of which more than the time has changed."""
        changed, large = [], []
        for entry in doubtful:
            before = self.known[entry.place]
            if before.digest is not None and await asyncio.to_thread(_has_digest, entry, before.digest):
                self.known[entry.place] = replace(before, local=entry)
            elif before.digest is None and entry.size >= LARGE_BYTES:
                large.append(entry)
            else:
                changed.append(entry)
        equal = await self._equal(copy, large)
        for entry in large:
            if entry.place in equal:
                self.known[entry.place] = replace(self.known[entry.place], local=entry)
            else:
                changed.append(entry)
        return changed

    async def _equal(self, copy: RemoteCopy, entries: Collection[Entry]) -> set[str]:
        """Return the places of those files that are the same on both sides."""
        there = await copy.digests([entry.place for entry in entries])
        found = set()
        for entry in entries:
            if entry.place in there and there[entry.place] == await asyncio.to_thread(_sha256, entry.path):
                found.add(entry.place)
        return found

    async def _send(
        self, copy: RemoteCopy, changed: Collection[Entry], pushed: Pushed, *, force: bool
    ) -> None:
        self.progress.begin("Sending", len(changed), sum(entry.size for entry in changed))
        loads: Iterator[Load] = pack(changed)
        while (load := await asyncio.to_thread(next, loads, None)) is not None:
            replaced = {} if force or self._is_empty else self._replaced(load)
            conflicts = await copy.place(load, replaced, self.progress.moved)
            if conflicts:
                raise _conflict(conflicts)
            self.known.update(load.known)
            self.progress.finish(load.size)
            files = sum(not known.local.is_folder for known in load.known.values())
            pushed.files, pushed.size = pushed.files + files, pushed.size + load.size
        self._is_empty = False

    def _replaced(self, load: Load) -> dict[str, Known | None]:
        """Return what is known of the files where a load goes, since the sandbox may have changed them."""
        return {
            place: before
            for place, leaving in load.known.items()
            if not leaving.local.is_folder
            and ((before := self.known.get(place)) is None or is_file(before.local))
        }

    async def find_arrivals(self, sandbox: AsyncSandbox, names: Collection[str] = ()) -> Arrivals:
        """Return what the sandbox has changed. The names there are not checked yet. Raises DaytonaError.

        names: only these places, and what is below them.
        """
        async with self._lock:
            copy = RemoteCopy(sandbox, await self.path_in(sandbox))
            found = await asyncio.to_thread(self.tree.look)
            there = await copy.entries()
            if self._must_compare:
                await self._compare(copy, found, force=False)
            rules = self.tree.rules
            kept = {
                place: entry
                for place, entry in there.items()
                if rules.verdict_below(place, is_folder=entry.is_folder).value == "copied"
            }
            if names:
                kept |= {place: there[place] for place in below(names, there)}
                chosen = set(below(names, kept))
                kept = {place: entry for place, entry in kept.items() if place in chosen}
            arrived = arrivals(found.entries, self.known, kept)
            if names:
                arrived.gone = below(names, arrived.gone)
            alike = [found.entries[e.place] for e in arrived.updates + arrived.conflicts if _alike(e, found)]
            equal = await self._equal(copy, alike)
            arrived.updates = [each for each in arrived.updates if each.place not in equal]
            arrived.conflicts = [each for each in arrived.conflicts if each.place not in equal]
            return arrived

    async def find_departures(self) -> tuple[Departures, Found]:
        """Return what the next push would look at, and all that is here. Call `find_arrivals` before."""
        found = await asyncio.to_thread(self.tree.look)
        return departures(found.entries, self.known), found

    async def take(self, arrived: Iterable[Entry]) -> None:
        """Remember entries of the sandbox that are here now."""
        found = await asyncio.to_thread(self.tree.look)
        for entry in arrived:
            if (here := found.entries.get(entry.place)) is not None:
                self.known[entry.place] = Known(here, entry.size, entry.modified)


def _notebook_place(root: str) -> str:
    """Return the place of the notebook's folder in a project; "." if it is elsewhere."""
    here = Path(os.path.realpath("."))
    return here.relative_to(root).as_posix() if here.is_relative_to(root) else "."


def _conflict(places: list[str]) -> FileTransferError:
    verb = "was" if len(places) == 1 else "were"
    return FileTransferError(
        f"{join_names(readable(sorted(places)))} {verb} changed both here and in the sandbox. "
        "`%sync push --force` sends yours, and `%sync pull --force` takes the sandbox's."
    )


def _alike(entry: Entry, found: Found) -> bool:
    here = found.entries.get(entry.place)
    return here is not None and not here.is_folder and here.link is None and here.size == entry.size


def _has_digest(entry: Entry, digest: bytes) -> bool:
    try:
        return digest_of(read_small(entry.path)) == digest
    except OSError:
        return False


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while piece := file.read(_HASH_BYTES):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()
