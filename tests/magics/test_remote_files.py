"""Lists of files in a sandbox: with GNU's find and without, and when the answer is wrong."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.magics.copying.local_files import is_safe
from daytona_kernel.magics.copying.patterns import quote_all_but_globs
from daytona_kernel.magics.copying.remote_files import _TREES, _read_trees

if TYPE_CHECKING:
    from pathlib import Path

SIMPLE_FIND = '#!/bin/sh\ncase "$*" in *-printf*) exit 1;; esac\nexec /usr/bin/find "$@"\n'


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("simple", [False, True])
def test_a_tree_is_listed_with_any_shell_and_any_find(tmp_path: Path, shell: str, simple: bool) -> None:
    programs, data = tmp_path / "bin", tmp_path / "da ta"
    programs.mkdir()
    if simple:
        (programs / "find").write_text(SIMPLE_FIND)
        (programs / "find").chmod(0o755)
    (data / "in").mkdir(parents=True)
    (data / "in" / "a\nb c").write_text("12345")
    (data / "run").touch(0o755)
    (data / "link").symlink_to("in")
    (tmp_path / "named").symlink_to(data)
    words = f"word '{tmp_path}/named' '{tmp_path}/named'\nword '{data}/r*' '{data}/'r*\n:"
    done = subprocess.run(
        [shell],
        input=f"{_TREES}\n{words}",
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
    )
    named, run = _read_trees(done.stdout)
    assert (named.name, run.name) == ("named", "run")
    assert [(entry.place, entry.is_folder, entry.executable) for entry in named.entries] == [
        ("", True, True),
        ("in", True, True),
        ("in/a\nb c", False, False),
        ("run", False, True),
    ]
    assert named.entries[2].size == 5
    assert named.skipped == [f"{data}/link"]
    assert [entry.path for entry in run.entries] == [f"{data}/run"]


def test_paths_outside_the_source_have_no_safe_place() -> None:
    lies = ["/a/../../etc/passwd", "/etc/passwd", "../x", "/a/b/../../../x", "/a/./x", "/a//x\x1b"]
    listed = "".join(f"f 644 1 {path}\0" for path in lies)
    (source,) = _read_trees(f"/a\0d 755 0 /a\0{listed}\0")
    unsafe = [entry.path for entry in source.entries if not is_safe(entry.place) and entry.place]
    assert unsafe == sorted(set(lies) - {"/etc/passwd"}, key=unsafe.index)
    # An absolute path elsewhere lands below the target, as all others do.
    assert [entry.place for entry in source.entries if entry.path == "/etc/passwd"] == ["etc/passwd"]


@pytest.mark.parametrize("listed", ["a\0f\0\0", "a\0f x y z\0\0", "a\0f 644 many p\0\0"])
def test_an_unreadable_list_is_rejected(listed: str) -> None:
    with pytest.raises(ValueError):
        list(_read_trees(listed))


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/a b/*.csv", "'/a b/'*.csv"),
        ("/a/[ab]?", "/a/[ab]?"),
        ("/a/[$(x)]*", "'/a/[$(x)]'*"),
        ("/it's", "'/it'\"'\"'s'"),
    ],
)
def test_only_globs_keep_their_meaning_for_the_shell(path: str, pattern: str) -> None:
    assert quote_all_but_globs(path) == pattern
