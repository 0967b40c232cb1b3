"""The removal of directories that a sandbox has filled, whatever it has done to them.

A sandbox may nest directories deeper than any path is long, take away its own permissions, and make millions
of files. So the removal follows no path and no link, keeps the same few descriptors open, and does not
recurse: a directory inside another one is first moved up to the top. It blocks, so it belongs in a thread.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: Path | str, *, keep: Collection[str] = ()) -> bool:
    """Remove a directory and everything in it. Return whether it is gone; True also if there was none.

    With `keep`, remove neither the directory nor the entries with these names, and return whether the rest is
    gone.
    """
    try:
        top = open_directory(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        is_empty = empty(top, keep=keep)
    finally:
        os.close(top)
    if not keep:
        with contextlib.suppress(OSError):
            os.rmdir(path)
            return True
    return is_empty and bool(keep)


def empty(top: int, *, keep: Collection[str] = ()) -> bool:
    """Remove everything in the directory of the descriptor `top`, except the names in `keep`.

    Return whether that succeeded.
    """
    return _Emptying(top, keep).run()


class _Emptying:
    def __init__(self, top: int, keep: Collection[str]) -> None:
        self._top = top
        self._left = set(keep)  # the names in `top` that stay
        self._kept = len(self._left)
        self._prefix = secrets.token_hex(8)
        self._steps = 0  # entries removed or moved so far

    def run(self) -> bool:
        before = -1
        while before != self._steps:
            before = self._steps
            with os.scandir(self._top) as entries:
                for entry in entries:
                    if entry.name not in self._left:
                        self._remove(entry)
        return len(self._left) == self._kept

    def _remove(self, entry: os.DirEntry[str]) -> None:
        """Remove an entry of `top`, or a part of it. Give it up if no part can be removed."""
        before = self._steps
        try:
            if entry.is_dir(follow_symlinks=False):
                self._remove_directory(entry.name)
            else:
                self._unlink(entry.name, self._top)
        except OSError:
            if before == self._steps:
                self._left.add(entry.name)

    def _remove_directory(self, name: str) -> None:
        """Remove a directory in `top`. Move the directories in it to `top`, unless they are empty."""
        directory = open_directory(name, self._top)
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        if not entry.is_dir(follow_symlinks=False):
                            self._unlink(entry.name, directory)
                        elif not self._remove_empty(entry.name, directory):
                            self._move_up(entry.name, directory)
        finally:
            os.close(directory)
        os.rmdir(name, dir_fd=self._top)
        self._steps += 1

    def _unlink(self, name: str, directory: int) -> None:
        os.unlink(name, dir_fd=directory)
        self._steps += 1

    def _remove_empty(self, name: str, directory: int) -> bool:
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError:
            return False
        self._steps += 1
        return True

    def _move_up(self, name: str, directory: int) -> None:
        os.close(open_directory(name, directory))  # a directory without permissions could not be moved
        os.rename(name, f"{self._prefix}{self._steps}", src_dir_fd=directory, dst_dir_fd=self._top)
        self._steps += 1


def open_directory(name: Path | str, parent: int | None = None) -> int:
    """Open the directory `name` in `parent`, and make it readable and writable for its owner.

    Raises `OSError` if there is none; a link to one is none.
    """
    handle = os.open(name, os.O_PATH | _DIRECTORY, dir_fd=parent)
    try:
        if os.fstat(handle).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(f"/proc/self/fd/{handle}", stat.S_IRWXU)
        return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(handle)
