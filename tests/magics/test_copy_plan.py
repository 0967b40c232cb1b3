"""The plan of a copy: the destinations that `cp -r` would choose."""

import pytest

from daytona_kernel.errors import MagicUsageError
from daytona_kernel.magics.copying.plan import Entry, Source, plan_copy

FILE = Source("/here/a.txt", [Entry("/here/a.txt", "", False, 10)])
FOLDER = Source(
    "/here/data", [Entry("/here/data", "", True), Entry("/here/data/in/b", "in/b", False, 5, True)]
)


@pytest.mark.parametrize(
    ("sources", "target", "into", "folder", "places", "shown"),
    [
        ([FILE], "/there", True, "/there", ["a.txt"], "/there/a.txt"),
        ([FILE], "/there/b.txt", False, "/there", ["b.txt"], "/there/b.txt"),
        ([FILE], "/b.txt", False, "/", ["b.txt"], "/b.txt"),
        ([FILE], "/", True, "/", ["a.txt"], "/a.txt"),
        ([FOLDER], "/there", True, "/there", ["data", "data/in/b"], "/there/data"),
        ([FOLDER], "/there", False, "/", ["there", "there/in/b"], "/there"),
        ([FILE, FOLDER], "/there", False, "/there", ["a.txt", "data", "data/in/b"], "/there"),
        ([], "/there", True, "/there", [], "/there"),
    ],
)
def test_a_target_is_a_folder_or_a_new_name(
    sources: list[Source], target: str, into: bool, folder: str, places: list[str], shown: str
) -> None:
    plan = plan_copy(sources, target, into=into)
    assert plan.folder == folder
    assert [entry.place for entry in plan.entries] == places
    assert plan.target == shown


def test_a_plan_counts_files_and_bytes() -> None:
    plan = plan_copy([FILE, FOLDER], "/there", into=True)
    assert plan.size == 15
    assert [plan.path(entry) for entry in plan.files] == ["/there/a.txt", "/there/data/in/b"]
    assert [entry.executable for entry in plan.files] == [False, True]
    assert [entry.place for entry in plan.folders] == ["data"]


def test_two_sources_with_one_name_are_rejected() -> None:
    other = Source("/else/a.txt", [Entry("/else/a.txt", "", False)])
    with pytest.raises(MagicUsageError, match="Two of the sources have the name"):
        plan_copy([FILE, other], "/there", into=True)
