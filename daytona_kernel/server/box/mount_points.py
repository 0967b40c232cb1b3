"""Mount points: those that bubblewrap makes, and those in a box's own directories, which the server makes.

A Python environment in /tmp is mounted in the box's own /tmp. The sandbox owns that directory and may put a
link in the place of a mount point. Bubblewrap would follow it, and make directories and files outside of the
box. So the server makes these mount points before each start, while no process of the sandbox runs, and
follows no link.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ..removal import open_directory, remove_tree
from .isolation import ISOLATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_OWN = {
    ISOLATED.home: "home",
    ISOLATED.workspace: "workspace",
    ISOLATED.tmp: "tmp",
    "/var/tmp": "tmp",  # noqa: S108  # a path inside the sandbox
}
_LINK, _BINDS = "--symlink", ("--bind", "--ro-bind", "--ro-bind-try")
_MODE = 0o755  # bubblewrap's own directories are open for the server's user only


def mount_points(options: Sequence[str]) -> set[str]:
    """Return the paths at which `options` mount or make something: the last word of each option."""
    return {option[-1] for option in _split(options)}


def directories_to(points: Iterable[str], inside: str) -> list[str]:
    """Return options that make the directories between `inside` and `points`, open for everyone."""
    found: dict[str, None] = {}
    for point in sorted(points):
        above = [str(parent) for parent in reversed(PurePath(point).parents)]
        found.update(dict.fromkeys(each for each in above if each != "/" and each.startswith(f"{inside}/")))
    return [argument for path in found for argument in ("--perms", f"{_MODE:04o}", "--dir", path)]


def make_mount_points(directory: Path, options: Sequence[str]) -> list[str]:
    """Make the mount points and links of `options` that are in own directories of the box in `directory`.

    Return the options that are left for bubblewrap: all but these links. What the sandbox has put in their
    place is removed.
    """
    left: list[str] = []
    made: list[str] = []
    for option in _split(options):
        name, path = option[0], option[-1]
        own = next((each for each in _OWN if path.startswith(f"{each}/")), None)
        is_link = own is not None and name == _LINK
        if not is_link:
            left += option
        # What is inside of another mount point has its own in the directory that is mounted.
        if own is None or any(path.startswith(f"{each}/") for each in made):
            continue
        source = Path(option[1])
        if is_link or (name in _BINDS and source.exists()):
            made.append(path)
            _make(directory / _OWN[own], path.removeprefix(f"{own}/"), source, is_link=is_link)
    return left


def _split(options: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield each option with its arguments."""
    starts = [index for index, word in enumerate(options) if word.startswith("--")]
    for start, end in zip(starts, [*starts[1:], len(options)], strict=True):
        yield options[start:end]


def _make(top: Path, path: str, source: Path, *, is_link: bool) -> None:
    """Make `path` below `top`, and the directories above it: a link to `source`, or its mount point."""
    *above, name = path.split("/")
    parent = open_directory(top)
    try:
        for each in above:
            _make_directory(each, parent)
            inner = open_directory(each, parent)
            os.close(parent)
            parent = inner
        if is_link:
            _make_link(str(source), name, parent)
        elif source.is_dir():
            _make_directory(name, parent)
        else:
            _make_file(name, parent)
    finally:
        os.close(parent)


def _make_directory(name: str, parent: int) -> None:
    if not stat.S_ISDIR(_mode(name, parent)):
        _remove(name, parent)
        os.mkdir(name, dir_fd=parent)
        os.chmod(name, _MODE, dir_fd=parent)  # whatever the umask is: a box may run as another user


def _make_file(name: str, parent: int) -> None:
    if not stat.S_ISREG(_mode(name, parent)):
        _remove(name, parent)
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=parent))


def _make_link(target: str, name: str, parent: int) -> None:
    if not stat.S_ISLNK(_mode(name, parent)) or os.readlink(name, dir_fd=parent) != target:
        _remove(name, parent)
        os.symlink(target, name, dir_fd=parent)


def _mode(name: str, parent: int) -> int:
    """Return the mode of an entry; 0 means that there is none."""
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


def _remove(name: str, parent: int) -> None:
    mode = _mode(name, parent)
    if stat.S_ISDIR(mode):
        remove_tree(f"/proc/self/fd/{parent}/{name}")
    elif mode:
        os.unlink(name, dir_fd=parent)
