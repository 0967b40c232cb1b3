"""A small root file system: some of this machine's programs with their libraries, in a directory."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# What the magics and the agent's installation use, and what the tests ask for.
PROGRAMS = (
    *(
        "bash",
        "sh",
        "base64",
        "cat",
        "chmod",
        "cp",
        "cut",
        "date",
        "dd",
        "env",
        "find",
        "grep",
        "head",
        "hostname",
    ),
    *(
        "id",
        "kill",
        "ln",
        "ls",
        "mkdir",
        "mktemp",
        "mv",
        "ps",
        "readlink",
        "rm",
        "sed",
        "sleep",
        "sort",
        "stat",
    ),
    *("tail", "tar", "touch", "tr", "wc", "whoami", "mount", "unshare"),
)
_LIBRARY = re.compile(r"(?:=>\s*)?(/\S+)\s+\(0x")


def make_small_root(root: Path, programs: Iterable[str] = PROGRAMS) -> None:
    """Copy programs and their libraries into the new directory `root`, with the paths that they have here."""
    found = [path for name in programs if (path := shutil.which(name, path="/usr/bin:/bin"))]
    for part in ("usr/bin", "usr/lib", "etc", "tmp", "opt", "root", "var/tmp", "var/lib"):
        (root / part).mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        if Path(f"/{name}").is_symlink():  # a merged /usr, as all current distributions have it
            (root / name).symlink_to(f"usr/{name}")
            (root / "usr" / name).mkdir(exist_ok=True)
    copy_with_libraries(root, [Path(path) for path in found])
    for name in ("passwd", "group"):
        (root / "etc" / name).write_text(
            "root:x:0:0:root:/root:/bin/sh\n" if name == "passwd" else "root:x:0:\n"
        )
    (root / "etc/os-release").write_text('PRETTY_NAME="a small root"\n')


def copy_with_libraries(root: Path, files: Iterable[Path], needed_by: Iterable[Path] = ()) -> None:
    """Copy files, and the libraries that they and the files `needed_by` need."""
    files = list(files)
    # It fails for files that are no programs, and still lists the libraries of the others.
    listed = subprocess.run(
        ["/usr/bin/ldd", *files, *needed_by], capture_output=True, text=True, check=False
    ).stdout
    for path in {*files, *(Path(each) for each in _LIBRARY.findall(listed))}:
        target = root / path.relative_to("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
