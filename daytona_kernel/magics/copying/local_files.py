"""The local side of a copy: the sources of an upload, and the new files of a download.

Names from a sandbox are not trusted. Each step of a path is one plain name, opened below the folder that
the person named, and never through a link. A file is written beside its destination and renamed when it
is complete.
"""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
import stat
import unicodedata
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ...errors import DaytonaFileNotFoundError, FileTransferError
from ...formatting import format_bytes
from .folders import Folder, open_folder
from .plan import OWNER_MAY_RUN, Entry, Source, refuse_root, split_links

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_DIRECTION_CONTROLS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
_RESERVE_BYTES = 1 << 30  # stay free on a large disk
_RESERVE_PART = 10  # of the free space of a small one


def absolute(path: str) -> str:
    """Return the absolute form of a path, with slashes; relative ones start at the kernel's own directory."""
    # pathlib would keep `..`, and drop the slash at the end.
    return with_slashes(os.path.abspath(expand_user(path)))  # noqa: PTH100


def with_slashes(path: str) -> str:
    """Return a path with the separators of the sandbox. Windows takes both."""
    return path.replace(os.sep, "/")


def expand_user(path: str) -> str:
    """Return a path with the home directory for `~`."""
    return os.path.expanduser(path)  # noqa: PTH111  (an unknown user stays as it is)


def kind(path: str) -> str:
    """Return `d` for a folder, `l` for a link to a folder, `f` for another file, `-` for nothing."""
    if Path(path).is_dir():
        return "l" if Path(path).is_symlink() else "d"
    return "f" if os.path.lexists(path) else "-"


def find_sources(words: Sequence[str]) -> list[Source]:
    """Return the sources that the words name.

    Raises DaytonaFileNotFoundError for a word that names nothing, MagicUsageError for the root, and
    FileTransferError for a file that cannot be read.
    """
    found = []
    for word in words:
        path = absolute(word)
        refuse_root(path)
        # glob takes `**` and broken links as a shell does; pathlib does not.
        paths = [path] if os.path.lexists(path) else sorted(glob.glob(path, recursive=True))  # noqa: PTH207
        if not paths:
            verb = "matches" if glob.has_magic(word) else "is called"
            raise DaytonaFileNotFoundError(
                f"No file on the notebook's machine {verb} {word!r} (looked in {Path.cwd()})."
            )
        try:
            found += [_source(with_slashes(each)) for each in paths]
        except OSError as error:
            raise FileTransferError(f"{error.filename} cannot be read: {error.strerror}.") from None
    return found


def _source(path: str) -> Source:
    entries: list[Entry] = []
    skipped: list[str] = []
    _add(path, "", Path(path).stat(), entries, skipped)
    kept, elsewhere = split_links(entries)
    return Source(path, kept, [*skipped, *elsewhere])


def _add(path: str, place: str, about: os.stat_result, entries: list[Entry], skipped: list[str]) -> None:
    """Add a file, a folder and its contents, or a link to the entries or to the skipped paths."""
    if not is_text(path):
        skipped.append(os.fsencode(path).decode("utf-8", "backslashreplace"))
    elif stat.S_ISDIR(about.st_mode):
        entries.append(Entry(path, place, True))
        with os.scandir(path) as inside:
            for each in sorted(inside, key=lambda each: each.name):
                below = f"{place}/{each.name}" if place else each.name
                _add(f"{path}/{each.name}", below, each.stat(follow_symlinks=False), entries, skipped)
    elif stat.S_ISLNK(about.st_mode) and is_text(link := os.readlink(path)):  # noqa: PTH115 - a str, not a Path
        entries.append(Entry(path, place, False, link=link))
    elif stat.S_ISREG(about.st_mode):
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        entries.append(Entry(path, place, False, about.st_size, bool(about.st_mode & OWNER_MAY_RUN)))
    else:
        skipped.append(path)


def is_text(path: str) -> bool:
    """Return whether the API can carry a path: it takes only text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_safe(place: str) -> bool:
    """Return whether each part of a path is a plain name that a person can read and type."""
    return all(
        name not in ("", ".", "..") and not any(_is_deceptive(character) for character in name)
        for name in place.split("/")
    )


def _is_deceptive(character: str) -> bool:
    # U+FFFD stands for bytes that are not text. Direction controls make a name look like another one.
    return (
        character == "\ufffd"
        or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in _DIRECTION_CONTROLS
    )


class Room:
    """The bytes that a download may write on the disk of a folder, so that a sandbox cannot fill it.

    free: the free bytes; None asks the disk.
    """

    def __init__(self, folder: str, free: int | None = None) -> None:
        if free is None:
            free = shutil.disk_usage(folder).free
        self._folder = folder
        self._left = free - min(_RESERVE_BYTES, free // _RESERVE_PART)

    def require(self, size: int) -> None:
        """Raise FileTransferError if a download of `size` bytes, as the sandbox says, does not fit."""
        if size > self._left:
            raise FileTransferError(
                f"The download has {format_bytes(size)}, and the disk of {self._folder} has room for "
                f"{format_bytes(max(0, self._left))}. Nothing was copied. Make room, or copy less at a time."
            )

    def take(self, size: int) -> None:
        """Use some bytes, or give some back. Raises FileTransferError if there are no more."""
        self._left -= size
        if self._left < 0:
            raise FileTransferError(
                f"The download was stopped, because the disk of {self._folder} has no more room for it: the "
                "sandbox sent more than it had announced. Look at the files there before you try again."
            )


class NewFiles:
    """Writes files and folders below a folder, and creates that folder if necessary.

    size: the bytes of all files, as the sandbox says. Raises FileTransferError if a write fails, or if the
    disk has no room for that many bytes.
    """

    def __init__(self, folder: str, size: int = 0) -> None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._room = Room(folder)
            self._room.require(size)
            self._root = open_folder(folder)
        except OSError as error:
            raise _cannot_write(folder, error) from None

    def close(self) -> None:
        """Close the folder."""
        self._root.close()

    def make_folder(self, place: str) -> None:
        """Create a folder and those above it. Raises FileTransferError."""
        with self._opened(_safe_names(place)):
            pass

    def make_link(self, place: str, link: str, *, force: bool) -> None:
        """Create a link at `place`; see `plan.split_links` for the ones that a copy has.

        force: whether the link may replace a file. Raises FileTransferError.
        """
        *folders, name = _safe_names(place)
        with self._opened(folders) as folder:
            temporary = f".daytona-download-{secrets.token_hex(6)}"
            try:
                if not force:
                    _require_absent(name, folder)
                folder.link(link, temporary)
                try:
                    folder.rename(temporary, name)
                except BaseException:
                    folder.remove(temporary)
                    raise
            except OSError as error:
                raise _cannot_write(place, error) from None

    @contextmanager
    def new_file(
        self, place: str, *, executable: bool, force: bool, on_progress: Callable[[int], object]
    ) -> Iterator[Download]:
        """Provide a sink, and move its file to `place` if the block succeeds.

        force: whether the file may replace another one. on_progress: takes the bytes received so far.

        Raises FileTransferError.
        """
        *folders, name = _safe_names(place)
        with self._opened(folders) as folder:
            temporary = f".daytona-download-{secrets.token_hex(6)}"
            try:
                opened = folder.create(temporary, 0o777 if executable else 0o666)
                try:
                    with os.fdopen(opened, "wb") as file:
                        yield Download(file, on_progress, self._room)
                    if not force:
                        _require_absent(name, folder)
                    folder.rename(temporary, name)
                except BaseException:
                    with suppress(FileNotFoundError):
                        folder.remove(temporary)
                    raise
            except OSError as error:
                raise _cannot_write(place, error) from None

    @contextmanager
    def _opened(self, folders: Sequence[str]) -> Iterator[Folder]:
        """Open a folder below the root, step by step; create the steps that do not exist."""
        with ExitStack() as opened:
            folder = self._root
            try:
                for name in folders:
                    folder = folder.enter(name)
                    opened.callback(folder.close)
            except OSError as error:
                raise _cannot_write("/".join(folders), error) from None
            yield folder


class Download:
    """A sink that writes to a file, as far as there is room."""

    def __init__(self, file: BinaryIO, on_progress: Callable[[int], object], room: Room) -> None:
        self._file = file
        self._room = room
        self._on_progress = on_progress
        self._received = 0

    def reset(self) -> None:
        """Start again: discard the bytes of an earlier attempt."""
        self._file.seek(0)
        self._file.truncate()
        self._room.take(-self._received)
        self._received = 0

    def write(self, piece: bytes) -> None:
        """Write a piece. Raises FileTransferError if there is no room for it."""
        self._room.take(len(piece))
        self._file.write(piece)
        self._received += len(piece)
        self._on_progress(self._received)


def _safe_names(place: str) -> list[str]:
    if not is_safe(place):
        raise FileTransferError(f"{place!r} is not a safe file name on this machine.")
    return place.split("/")


def _require_absent(name: str, folder: Folder) -> None:
    if folder.has(name):
        raise FileExistsError(errno.EEXIST, "another program has created it", name)


def _cannot_write(place: str, error: OSError) -> FileTransferError:
    blocked = error.errno in (errno.ELOOP, errno.ENOTDIR)
    reason = "a link or a file is in its way" if blocked else error.strerror
    return FileTransferError(f"{place} cannot be written here: {reason}.")
