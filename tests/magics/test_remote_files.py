"""Lists of files in a sandbox: with GNU's find and without, and when the answer is wrong."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from daytona_kernel.magics.copying.local_files import is_safe
from daytona_kernel.magics.copying.patterns import matches, quote_all_but_globs
from daytona_kernel.magics.copying.remote_files import _TREES, read_trees

SIMPLE_FIND = '#!/bin/sh\ncase "$*" in *-printf*) exit 1;; esac\nexec /usr/bin/find "$@"\n'


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("simple", [False, True])
def test_a_tree_is_listed_with_any_shell_and_any_find(tmp_path: Path, shell: str, simple: bool) -> None:
    programs, data = tmp_path / "bin", tmp_path / "da ta"
    programs.mkdir()
    (programs / "find").write_text(SIMPLE_FIND)
    (programs / "find").chmod(0o755)
    (data / "in").mkdir(parents=True)
    (data / "in" / "a\nb c").write_text("12345")
    (data / "run").touch(0o755)
    (data / "link").symlink_to("in")
    (data / "out").symlink_to("/etc")
    (tmp_path / "named").symlink_to(data)
    Path(os.fsdecode(os.fsencode(data) + b"/caf\xe9")).mkdir()
    Path(os.fsdecode(os.fsencode(data) + b"/caf\xe9/inner")).touch()
    # Where the system's own find is not GNU's, it is as this one.
    trees = _TREES.replace("command -p find", f"'{programs}/find'") if simple else _TREES

    def listed(call: str) -> bytes:
        return subprocess.run(
            [shell], input=f"{trees}\n{call}\n:".encode(), capture_output=True, check=True
        ).stdout

    (named,) = read_trees(listed(f"word '{tmp_path}/named' '{tmp_path}/named'"), f"{tmp_path}/named")
    (run,) = read_trees(listed(f"word '{data}/r*' '{data}/'r*"), f"{data}/r*")
    assert (named.name, run.name) == ("named", "run")
    assert [(each.place, each.is_folder, each.executable, each.link) for each in named.entries] == [
        ("", True, True, None),
        ("in", True, True, None),
        ("in/a\nb c", False, False, None),
        ("link", False, False, "in"),
        ("run", False, True, None),
    ]
    assert named.entries[2].size == 5
    assert named.skipped == [f"{data}/caf\\xe9", f"{data}/out"]
    assert [entry.path for entry in run.entries] == [f"{data}/run"]
    assert named.is_named
    assert not run.is_named


def test_programs_first_in_the_path_do_not_list(tmp_path: Path) -> None:
    for name in ("find", "readlink", "stat", "base64"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (tmp_path / name).chmod(0o755)
    subprocess.run(
        ["/bin/sh"],
        input=f"{_TREES}\n{{ word {tmp_path} {tmp_path}\n:; }} | command -p base64",
        text=True,
        check=True,
        capture_output=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert not (tmp_path / "ran").exists()


def listing(source: str, *entries: str) -> bytes:
    """Return what the sandbox prints for a source. An entry is `path`, `path/` or `path>link`."""
    lines = ""
    for entry in entries:
        path, arrow, link = entry.partition(">")
        kind = "l" if arrow else "d" if path.endswith("/") else "f"
        lines += f"{kind} 755 1 1700000000.25 {path.rstrip('/')}\0>{link}\0"
    return f"{source}\0{lines}\0".encode()


@pytest.mark.parametrize(
    "listed",
    [
        listing("/b", "/b"),
        listing("/w/r/", "/w/r"),
        listing("/w/.git", "/w/.git"),
        listing("/w/r", "/w/r") + listing("/w/comm.py", "/w/comm.py"),
        listing("/w/r", "/w/r") * 2,
        listing("/w/r", "/w/r", "/w/r/x"),
        listing("/w/r", "/w/r/", "/w/r/no/x"),
        listing("/w/r", "/w/r/", "/w/x"),
        listing("/w/r", "/w/r/", "/w/rx"),
        listing("/w/r", "/w/r/", "/w/r/x/", "/w/r/x"),
        listing("/w/r", "/w/r/", "/w/r/l>x", "/w/r/l/y"),
        listing("/w/r", "/w/r/", "/w/r//x"),
        b"/w/r\0f\0\0",
        b"/w/r\0f x y z\0>\0\0",
        b"/w/r\0f 644 many 0 p\0>\0\0",
        b"/w/r\0f 644 -1 0 /w/r\0>\0\0",
        b"/w/r\0f 644 1_0 0 /w/r\0>\0\0",
        b"/w/r\0f 644 1 0 /w/r\0\0",
        b"/w/r\0f 644 1 0 /w/r\0x\0\0",
    ],
)
def test_a_list_of_something_else_is_rejected(listed: bytes) -> None:
    with pytest.raises(ValueError):
        read_trees(listed, "/w/r")


def test_the_sources_of_a_pattern_match_it() -> None:
    (source,) = read_trees(listing("/w/r.csv", "/elsewhere/x"), "/w/*.csv")
    assert (source.name, source.is_named) == ("r.csv", False)
    (source,) = read_trees(listing("/w/in/r.csv", "/w/in/r.csv"), "/w/*/r.csv")
    assert source.is_named
    for name in ("/w/comm.py", "/w/.csv", "/w/in/r.csv", "/v/r.csv"):
        with pytest.raises(ValueError):
            read_trees(listing(name, name), "/w/*.csv")


def test_a_climbing_path_has_no_safe_place() -> None:
    (source,) = read_trees(listing("/a", "/a/", "/a/../", "/a/../x"), "/a")
    assert [entry.path for entry in source.entries if is_safe(entry.place)] == []


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("/a/b.csv", "/a/*.csv", True),
        ("/a/b.csv", "/a/?.csv", True),
        ("/a/b.csv", "/a/[a-c].csv", True),
        ("/a/b.csv", "/a/[!a].csv", True),
        ("/a/b.csv", "/a/[^b].csv", False),
        ("/a/.csv", "/a/*csv", False),
        ("/a/.csv", "/a/.*", True),
        ("/a/x/b.csv", "/a/*.csv", False),
        ("/a/x/y/b.csv", "/a/**/b.csv", True),
        ("/a/b.csv", "/a/**/b.csv", True),
        ("/a/.x/b.csv", "/a/**/b.csv", False),
        ("/a/x/b.csv", "/a/**", True),
        ("/a/", "/a/**", True),
        ("/b/x", "/a/**", False),
        ("/a/[$(x)]1", "/a/[$(x)]*", True),
        ("/a/x1", "/a/[$(x)]*", False),
        ("/a/" + "a" * 5000, "/a/" + "*a" * 500 + "b", False),
        ("/" + "a/" * 500 + "a", "/**/" * 50 + "b", False),
    ],
)
def test_a_path_matches_as_in_a_shell(path: str, pattern: str, fits: bool) -> None:
    assert matches(path, pattern) is fits


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
