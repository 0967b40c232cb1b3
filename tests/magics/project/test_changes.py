"""The plan of a copy of a project: only changes travel, and nobody's work is lost."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.magics.copying.plan import Entry
from daytona_kernel.magics.project.changes import (
    SECOND,
    Known,
    arrivals,
    compare,
    departures,
    sent,
)

_NAMES = st.sampled_from(["a", "b", "c", "d/e", "d/f"])
_VERSIONS = st.tuples(st.integers(0, 3), st.integers(1, 4))


def file(place: str, size: int = 1, seconds: float = 1.0) -> Entry:
    return Entry(f"/p/{place}", place, False, size, modified=round(seconds * SECOND))


def tree(versions: dict[str, tuple[int, int]]) -> dict[str, Entry]:
    return {place: file(place, size, seconds) for place, (size, seconds) in versions.items()}


_TREES = st.dictionaries(_NAMES, _VERSIONS).map(tree)


@given(_TREES)
def test_nothing_is_sent_twice(local: dict[str, Entry]) -> None:
    first = departures(local, {})
    assert first.changed == list(local.values())
    known = {entry.place: sent(entry) for entry in first.changed}
    again = departures(local, known)
    assert not again
    assert again.gone == []
    assert not arrivals(local, known, local).new
    assert not arrivals(local, known, local).updates


@given(_TREES, _TREES)
def test_all_that_differs_from_what_was_sent_is_found(
    before: dict[str, Entry], now: dict[str, Entry]
) -> None:
    found = departures(now, {place: sent(entry) for place, entry in before.items()})
    different = {place for place, entry in now.items() if before.get(place) != entry}
    assert {entry.place for entry in found.changed + found.doubtful} == different
    assert set(found.gone) == before.keys() - now.keys()
    assert all(before[entry.place].size == entry.size for entry in found.doubtful)


@given(_TREES, _TREES, _TREES)
def test_a_pull_overwrites_only_what_is_here_as_it_was_sent(
    before: dict[str, Entry], here: dict[str, Entry], there: dict[str, Entry]
) -> None:
    known = {place: sent(entry) for place, entry in before.items()}
    found = arrivals(here, known, there)
    for entry in found.updates:
        was, now = before.get(entry.place), here[entry.place]
        assert now == was if was is not None else entry.modified > now.modified
    for entry in found.new:
        assert entry.place not in here
    touched = {entry.place for entry in found.new + found.updates + found.conflicts}
    unchanged = {place for place, entry in there.items() if before.get(place) == entry}
    assert not touched & unchanged
    assert all(here[place] == before[place] and place not in there for place in found.gone)


@given(_TREES, _TREES)
def test_without_a_memory_the_newer_file_counts(here: dict[str, Entry], sent_: dict[str, Entry]) -> None:
    there = {place: replace(entry, modified=entry.modified + 1) for place, entry in sent_.items()}
    found = compare(here, there)
    known = found.same
    doubtful = {entry.place for entry in found.doubtful}
    leaving = {entry.place for entry in departures(here, known).changed}
    for place, entry in here.items():
        other = there.get(place)
        if other is None:
            assert place in leaving
        elif entry.size == other.size:
            assert place in doubtful
        else:
            assert (place in leaving) == (entry.modified >= other.modified)
            if place in known:  # and what the sandbox has changed is not lost for a pull
                assert other in arrivals(here, known, there).updates


@given(_TREES, _TREES)
def test_what_the_sandbox_has_not_written_is_replaced(
    here: dict[str, Entry], there: dict[str, Entry]
) -> None:
    found = compare(here, there)
    leaving = departures(here, found.same)
    for place in here.keys() & there.keys():
        if here[place] == there[place]:
            assert here[place] not in leaving.changed + leaving.doubtful
        elif here[place].size != there[place].size:
            assert here[place] in leaving.changed + leaving.doubtful
            assert (found.same[place].remote_size, found.same[place].remote_modified) == (
                there[place].size,
                there[place].modified,
            )
    assert arrivals(here, found.same, {place: there[place] for place in found.same}).updates == []


def test_a_time_alone_is_doubtful_and_a_mode_is_a_change() -> None:
    known = {"a": sent(file("a"))}
    assert departures({"a": file("a", seconds=2)}, known).doubtful
    assert departures({"a": replace(file("a"), executable=True)}, known).changed


def test_a_sandboxs_own_time_shows_that_it_has_written_the_file() -> None:
    entry = file("a", seconds=5.75)
    known = {"a": sent(entry)}
    as_it_arrived = file("a", seconds=5)
    assert not arrivals({"a": entry}, known, {"a": as_it_arrived}).updates
    written = file("a", seconds=5.5)
    assert arrivals({"a": entry}, known, {"a": written}).updates == [written]


def test_a_folder_in_the_place_of_a_file_is_a_conflict() -> None:
    folder = Entry("/p/a", "a", True)
    there = file("a")
    assert arrivals({"a": folder}, {}, {"a": there}).conflicts == [there]
    linked = replace(there, link="b")
    assert arrivals({"a": file("a")}, {"a": sent(file("a"))}, {"a": linked}).conflicts == [linked]


def test_what_the_sandbox_has_of_its_own_version_is_an_update() -> None:
    here, there = file("a", 1, 1), file("a", 2, 9)
    assert arrivals({"a": here}, {"a": Known(here, -1, -1)}, {"a": there}).updates == [there]
