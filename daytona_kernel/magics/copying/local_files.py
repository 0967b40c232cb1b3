"""The notebook's machine's side of a copy: what there is to be sent, and files that come from a sandbox.

A name that comes from a sandbox is not trusted. Every step of its path is one plain name, opened
below the folder that the person named, and never through a link; a file is written beside its
place and renamed when it is whole.
"""

from __future__ import annotations

import errno
import glob
import os
import secrets
import stat
import unicodedata
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from ...errors import DaytonaFileNotFoundError, FileTransferError
from .plan import Entry, Source, refuse_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def absolute(path: str) -> str:
    """Return the absolute form of a path; relative ones start at the kernel's own directory."""
    return os.path.abspath(os.path.expanduser(path))


def kind(path: str) -> str:
    """Return `d` for a folder, `f` for another file, `-` for nothing."""
    return "d" if os.path.isdir(path) else "f" if os.path.lexists(path) else "-"


def find_sources(words: Sequence[str]) -> list[Source]:
    """Return what the words name. Links within folders are skipped.

    Raises DaytonaFileNotFoundError when a word names nothing, MagicUsageError for the root, and
    FileTransferError for what cannot be read.
    """
    found = []
    for word in words:
        path = absolute(word)
        refuse_root(path)
        paths = [path] if os.path.lexists(path) else sorted(glob.glob(path, recursive=True))
        if not paths:
            what = "matches" if glob.has_magic(word) else "is called"
            raise DaytonaFileNotFoundError(
                f"Nothing on the notebook's machine {what} {word!r}, seen from {os.getcwd()}."
            )
        try:
            found += [_source(each) for each in paths]
        except OSError as error:
            raise FileTransferError(f"{error.filename} cannot be read: {error.strerror}.") from None
    return found


def _source(path: str) -> Source:
    about = os.stat(path)
    entries: list[Entry] = []
    skipped: list[str] = []
    _add(path, "", about, entries, skipped)
    return Source(path, entries, skipped)


def _add(path: str, place: str, about: os.stat_result, entries: list[Entry], skipped: list[str]) -> None:
    if stat.S_ISDIR(about.st_mode) and _is_text(path):
        entries.append(Entry(path, place, True))
        with os.scandir(path) as inside:
            for each in sorted(inside, key=lambda each: each.name):
                below = f"{place}/{each.name}" if place else each.name
                _add(each.path, below, each.stat(follow_symlinks=False), entries, skipped)
    elif stat.S_ISREG(about.st_mode) and _is_text(path):
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        entries.append(Entry(path, place, False, about.st_size, bool(about.st_mode & 0o100)))
    else:
        skipped.append(path)


def _is_text(path: str) -> bool:
    """Whether the API can be told of it: its paths are text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_safe(place: str) -> bool:
    """Whether a path from a sandbox is one of plain names, which a person can read and type."""
    return all(
        name not in ("", ".", "..") and not any(_misleads(character) for character in name)
        for name in place.split("/")
    )


def _misleads(character: str) -> bool:
    # U+FFFD stands for bytes that are no text. The last are those that turn the direction of writing.
    return (
        character == "\ufffd"
        or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in _TURNS
    )


class NewFiles:
    """Writes files and folders below a folder, which is made if it is not there."""

    def __init__(self, folder: str) -> None:
        try:
            os.makedirs(folder, exist_ok=True)
            self._root = os.open(folder, _FOLDER)
        except OSError as error:
            raise _refused(folder, error) from None

    def close(self) -> None:
        """Give the folder back."""
        os.close(self._root)

    def make_folder(self, place: str) -> None:
        """Make a folder, and those above it. Raises FileTransferError."""
        with self._opened(_safe_names(place)):
            pass

    @contextmanager
    def new_file(
        self, place: str, *, executable: bool, force: bool, on_progress: Callable[[int], object]
    ) -> Iterator[Download]:
        """Give a sink for a file that stands in its place when all has gone well.

        force: whether it may replace one. on_progress: called with the bytes that are there.

        Raises FileTransferError.
        """
        *folders, name = _safe_names(place)
        with self._opened(folders) as folder:
            beside = f".daytona-download-{secrets.token_hex(6)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            try:
                opened = os.open(beside, flags, 0o777 if executable else 0o666, dir_fd=folder)
                try:
                    with open(opened, "wb") as file:
                        yield Download(file, on_progress)
                    if not force and _exists(name, folder):
                        raise FileExistsError(errno.EEXIST, "it has come into being meanwhile", name)
                    os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
                except BaseException:
                    with suppress(FileNotFoundError):
                        os.unlink(beside, dir_fd=folder)
                    raise
            except OSError as error:
                raise _refused(place, error) from None

    @contextmanager
    def _opened(self, folders: Sequence[str]) -> Iterator[int]:
        """Open a folder below the root, step by step, making those that are not there."""
        folder = os.dup(self._root)
        try:
            for name in folders:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=folder)
                inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = inner
        except OSError as error:
            os.close(folder)
            raise _refused("/".join(folders), error) from None
        try:
            yield folder
        finally:
            os.close(folder)


class Download:
    """A sink that is a file."""

    def __init__(self, file: BinaryIO, on_progress: Callable[[int], object]) -> None:
        self._file = file
        self._on_progress = on_progress
        self._received = 0

    def begin(self) -> None:
        """Forget what came before."""
        self._file.seek(0)
        self._file.truncate()
        self._received = 0

    def write(self, piece: bytes) -> None:
        """Take a piece."""
        self._file.write(piece)
        self._received += len(piece)
        self._on_progress(self._received)


def _safe_names(place: str) -> list[str]:
    if not is_safe(place):
        raise FileTransferError(f"{place!r} is no name for a file here.")
    return place.split("/")


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _refused(place: str, error: OSError) -> FileTransferError:
    in_the_way = error.errno in (errno.ELOOP, errno.ENOTDIR)
    reason = "a link or a file is in its way" if in_the_way else error.strerror
    return FileTransferError(f"{place} cannot be written here: {reason}.")


def complete(begun: str) -> list[str]:
    """Return the local paths that begin so; folders end in `/`."""
    directory, slash, _ = begun.rpartition("/")
    try:
        with os.scandir(os.path.expanduser(directory + slash) or ".") as entries:
            return sorted(f"{directory}{slash}{each.name}{'/' * each.is_dir()}" for each in entries)
    except OSError:
        return []
