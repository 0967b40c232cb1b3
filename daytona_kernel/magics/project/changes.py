"""The differences between a project here, its copy in the sandbox, and what was last sent. No I/O.

A file is unchanged if its size and its time are. The sandbox gets times in whole seconds, so a time of its
own shows that something there has written the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..copying.plan import Entry

SECOND = 10**9


@dataclass(frozen=True)
class Known:
    """An entry that is the same on both sides, as far as is known.

    local: the entry here at that time. remote_size, remote_modified: of the copy there; -1 if the sandbox has
    its own version. digest: of the content; None if nobody has computed it.
    """

    local: Entry
    remote_size: int
    remote_modified: int
    digest: bytes | None = None


def sent(entry: Entry, digest: bytes | None = None) -> Known:
    """Return what is known after an entry was sent."""
    return Known(entry, entry.size, arrives_as(entry), digest)


def outdated(entry: Entry, there: Entry) -> Known:
    """Return what is known of a copy that is as it was sent, when the entry here was another version."""
    return Known(replace(entry, modified=-1), there.size, there.modified)


def is_as_sent(there: Entry) -> bool:
    """Return whether nothing in the sandbox has written a file since it was sent, as far as times tell."""
    return there.modified % SECOND == 0


def arrives_as(entry: Entry) -> int:
    """Return the time that the copy of an entry gets, in nanoseconds."""
    return entry.modified // SECOND * SECOND


def is_same(before: Entry, now: Entry) -> bool:
    """Return whether an entry looks as it did before."""
    return (
        before.size == now.size
        and before.modified == now.modified
        and before.executable == now.executable
        and before.link == now.link
        and before.is_folder == now.is_folder
    )


@dataclass
class Departures:
    """What is to be sent.

    changed: new or changed entries. doubtful: those whose time alone is another one. gone: the places of
    entries that were sent, and are no longer here.
    """

    changed: list[Entry] = field(default_factory=list)
    doubtful: list[Entry] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.changed or self.doubtful)


def departures(local: Mapping[str, Entry], known: Mapping[str, Known]) -> Departures:
    """Return what has changed here since it was sent."""
    found = Departures()
    for place, entry in local.items():
        before = known.get(place)
        if before is None:
            found.changed.append(entry)
        elif not is_same(before.local, entry):
            looks_alike = (
                before.local.size == entry.size
                and before.local.executable == entry.executable
                and is_file(before.local)
                and is_file(entry)
            )
            (found.doubtful if looks_alike else found.changed).append(entry)
    if len(known) > len(local) or not known.keys() <= local.keys():
        found.gone = [place for place in known if place not in local]
    return found


@dataclass
class Comparison:
    """Two trees, without knowledge of an earlier time.

    same: what both have. doubtful: files of the same size and of different times. Neither has what the other
    side has changed.
    """

    same: dict[str, Known] = field(default_factory=dict)
    doubtful: list[Entry] = field(default_factory=list)


def compare(local: Mapping[str, Entry], remote: Mapping[str, Entry]) -> Comparison:
    """Compare a project here with the copy that a sandbox has of it.

    A file whose sizes differ, and that the sandbox has not written, is an earlier version of the file here.
    Otherwise it belongs to the side that has changed it last. If that is the sandbox, it counts as known, so
    that it is not sent, with an impossible size there, so that it counts as changed there.
    """
    found = Comparison()
    for place, entry in local.items():
        there = remote.get(place)
        if there is None:
            continue
        if not (is_file(entry) and is_file(there)):
            if entry.is_folder == there.is_folder and entry.link == there.link:
                found.same[place] = sent(entry)
        elif entry.size == there.size and arrives_as(entry) == there.modified:
            found.same[place] = sent(entry)
        elif entry.size == there.size:
            found.doubtful.append(entry)
        elif is_as_sent(there):
            found.same[place] = outdated(entry, there)
        elif there.modified > entry.modified:
            found.same[place] = Known(entry, -1, -1)
    return found


@dataclass
class Arrivals:
    """What a pull finds. Each is a list of the sandbox's entries, with their places.

    new: files that are not here. updates: files that only the sandbox has changed. conflicts: those that are
    newer here, or have changed on both sides. gone: the places of files that the sandbox has deleted, and
    that are here as they were sent.
    """

    new: list[Entry] = field(default_factory=list)
    updates: list[Entry] = field(default_factory=list)
    conflicts: list[Entry] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def arrivals(local: Mapping[str, Entry], known: Mapping[str, Known], remote: Mapping[str, Entry]) -> Arrivals:
    """Return what the sandbox has changed since the project was sent."""
    found = Arrivals()
    for place, there in remote.items():
        here, before = local.get(place), known.get(place)
        if there.is_folder or not _has_changed_there(there, before):
            continue
        if here is None:
            found.new.append(there)
        elif here.is_folder or here.link != there.link:
            found.conflicts.append(there)
        elif before is not None and before.remote_size >= 0:
            (found.updates if is_same(before.local, here) else found.conflicts).append(there)
        elif here.size != there.size or arrives_as(here) != there.modified:
            (found.updates if there.modified > here.modified else found.conflicts).append(there)
    for place, before in known.items():
        here = local.get(place)
        if place not in remote and here is not None and is_file(here) and is_same(before.local, here):
            found.gone.append(place)
    return found


def _has_changed_there(there: Entry, before: Known | None) -> bool:
    if before is None or there.is_folder != before.local.is_folder or there.link != before.local.link:
        return True
    return (there.size, there.modified) != (before.remote_size, before.remote_modified) and is_file(there)


def below(names: Iterable[str], places: Iterable[str]) -> list[str]:
    """Return the places that are one of the names, or below one."""
    wanted = tuple(names)
    return [
        place for place in places if any(place == name or place.startswith(f"{name}/") for name in wanted)
    ]


def is_file(entry: Entry) -> bool:
    """Return whether an entry holds bytes."""
    return not entry.is_folder and entry.link is None
