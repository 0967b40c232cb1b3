"""The words of a call beside the written ones, and a question that no text of the sandbox can change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daytona_kernel.formatting import quote
from daytona_kernel.magics.declarations import declare_all
from daytona_kernel.magics.permission import Folders, describe_call, has_same_words, is_short
from daytona_kernel.magics.reach import Reach

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = declare_all()


def test_only_magics_that_act_in_the_sandbox_are_free() -> None:
    reaches = {command.begin: command.reach for magic in REGISTRY for command in magic.commands}
    free = {begin.split()[0].strip("%") for begin, reach in reaches.items() if reach is Reach.SANDBOX}
    assert free == {"sh", "session", "code_run", "sandbox", "daytona"}
    assert {begin for begin, reach in reaches.items() if not reach.may_be_asked_for} == {
        "%%local",
        "%secret",
        "%sandbox new",
        "%sandbox attach",
        "%sandbox stop",
        "%sandbox delete",
    }


@pytest.mark.parametrize(
    ("written", "called", "same"),
    [
        ("upload a b", "upload a b", True),
        ("upload a {x}", "upload a b", True),
        ("upload 'a' $x", "upload a b", True),
        ("upload a b {x}", "upload a b c/", True),
        ("upload a {x}", "upload a b c", False),
        ("upload a {x}", "upload a", False),
        ("upload a {x}", "upload a --force b", False),
        ("upload a --force {x}", "upload a --force b", True),
        ("upload {x} b", "upload a b", False),
        ("upload a", "upload a b", False),
        ("upload {x}", "upload a", False),
        ("upload a b", "upload a c", False),
        ("upload a b", "download a b", False),
        ("download {x}/a.csv", "download /b/a.csv", True),
        ("download {x}/a.csv .", "download /b/*/a.csv .", True),
        ("download {x}/*.csv .", "download /b/*.csv .", True),
        ("download {x}/a.csv .", "download /b/comm.py .", False),
        ("download {x} .", "download comm.py .", False),
        ("download {x}", "download comm.py", False),
        ("download {x} new", "download comm.py new", True),
        ("download {x} new", "download *.py new", False),
        ("download {x} new/", "download comm.py new/", False),
        ("download {x} here", "download comm.py here", False),
        ("download {x} {y} new", "download a b new", False),
        ("download a {x}", "download a b", False),
        ("sandbox attach {x}", "sandbox attach other", False),
        ("put {x}", "put secret", False),
        ("get a b", "get a b", True),
    ],
)
def test_a_call_has_the_written_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, called: str, same: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    command, before = REGISTRY.parse(*written.split(" ", 1), of_cell=False)
    other, after = REGISTRY.parse(*called.split(" ", 1), of_cell=False)
    assert (command == other and has_same_words(command, before, after)) is same


@pytest.mark.parametrize(
    "text",
    ["a\nb", "a\rb", "a\u2028b", "a\u2029b", "a\x85b", "a\x0bb", "a\x1b[2Jb", "a\u202eb", "a\u200bb",
     "a\u3000b", "a\u3164b", "a\u2800b", "a  b", "a\u0301b", "a\ud800b", "a'b", "a\\b"],
)  # fmt: skip
def test_a_quoted_text_cannot_look_like_another(text: str) -> None:
    quoted = quote(text)
    assert "\n" not in quoted
    assert quoted.isprintable()
    assert "  " not in quoted
    assert quoted[0] == quoted[-1]
    assert text == "a'b" or text not in quoted


def test_a_quoted_text_keeps_the_letters_of_all_languages() -> None:
    assert quote("/home/åsa/Bücher/データ 1.csv") == "'/home/åsa/Bücher/データ 1.csv'"


def test_a_description_has_a_line_for_each_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("/etc")
    command, values = REGISTRY.parse("download", "'a\n--force' link --force", of_cell=False)
    assert describe_call(command, values).split("\n") == [
        "Code in the sandbox wants to copy files of the sandbox to the notebook's machine:",
        "  %download",
        "  in the sandbox: 'a\\n--force'",
        "  on this machine: '/etc'",
        "  --force",
    ]
    assert is_short(command, values)


@pytest.mark.parametrize(
    ("line", "inside"),
    [
        ("upload in/a", True),
        ("upload in/a* there", True),
        ("upload in/* there", False),
        ("upload in/a out/b there", False),
        ("upload in/../out/b there", False),
        ("upload in/link there", False),
        ("upload in/l*nk there", False),
        ("upload in/folder/* there", False),
        ("upload in/**/b there", False),
        ("download x in", True),
        ("download x in/new", True),
        ("download x in/folder", False),
        ("download x in2", False),
        ("download x", False),
        ("put x", False),
        ("sandbox keep", False),
    ],
)
def test_folders_contain_only_what_really_is_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, inside: bool
) -> None:
    for name in ("in", "out", "in2"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "a").touch()
    (tmp_path / "out" / "b").touch()
    (tmp_path / "in" / "link").symlink_to("../out/b")
    (tmp_path / "in" / "folder").symlink_to("../out")
    monkeypatch.chdir(tmp_path)
    folders = Folders.from_settings({"DAYTONA_KERNEL_FOLDERS": f"out:{tmp_path}/in::"})
    assert folders.contain(*REGISTRY.parse(*line.split(" ", 1), of_cell=False)) is inside
    assert not Folders().contain(*REGISTRY.parse(*line.split(" ", 1), of_cell=False))
