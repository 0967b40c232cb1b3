"""The sandbox's side of a copy: the files there, and how an upload gets to its destination.

Bytes travel through the API's file operations. Those cannot handle patterns, links and modes, so one
`process.exec` does that for any number of files. The scripts need only a POSIX shell and `find`.

An upload goes to a hidden folder beside its destination, and its files are linked into place when all of
them have arrived. A broken upload therefore changes nothing, and never leaves half a file.
"""

from __future__ import annotations

import base64
import posixpath
import re
import secrets
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import DaytonaFileNotFoundError, FileTransferError
from .patterns import is_pattern, matches, quote_all_but_globs
from .plan import OWNER_MAY_RUN, Entry, Plan, Source, refuse_root, split_links

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...client.sandbox import AsyncSandbox

# The arguments of one program: far fewer than any system allows.
_ARGUMENTS = 500

_KINDS = r"""
k() {
    if [ -L "$1" ] && [ -d "$1" ]; then printf l
    elif [ -d "$1" ]; then printf d
    elif [ -e "$1" ] || [ -L "$1" ]; then printf f
    else printf -; fi
}
"""

# For each source, prints its name, then two strings for each entry, `type mode size time path` and `>link`,
# and an empty string. `command -p` finds the system's programs, whatever is first in PATH. Base64 keeps names
# that are not UTF-8 as they are.
_TREES = r"""
shopt -s globstar 2>/dev/null
if command -p find / -maxdepth 0 -printf '' 2>/dev/null; then
    entries() { command -p find -H "$1" -printf '%y %m %s %T@ %p\0>%l\0' 2>/dev/null; }
else
    entries() {
        command -p find "$1" -exec /bin/sh -c 'for path; do
            link=
            if [ -L "$path" ]; then type=l; link=$(command -p readlink "$path")
            elif [ -d "$path" ]; then type=d
            elif [ -f "$path" ]; then type=f; else type=o; fi
            printf "%s %s %s\0>%s\0" $type "$(command -p stat -c "%a %s %Y" "$path")" "$path" "$link"
        done' sh {} + 2>/dev/null
    }
fi
tree() { printf '%s\0' "$1"; entries "$(command -p readlink -f "$1" 2>/dev/null)"; printf '\0'; }
# A word is a file's name if there is such a file, else a pattern.
word() {
    if [ -e "$1" ]; then tree "$1"; return; fi
    shift
    for path; do [ -e "$path" ] && tree "$path"; done
}
"""
_ENTRY = re.compile(rb"([a-z?]) ([0-7]{1,6}) (\d{1,18}) (-?\d{1,18})(?:\.(\d{1,9})\d*)? (.+)", re.DOTALL)


class RemoteFiles:
    """The files of a sandbox. Relative paths start at `cwd`; None for the sandbox's default directory."""

    def __init__(self, sandbox: AsyncSandbox, cwd: str | None) -> None:
        self._sandbox = sandbox
        self._cwd = cwd

    async def absolute(self, path: str) -> str:
        """Return the absolute form of a path."""
        if path == "~" or path.startswith("~/"):
            path = posixpath.join(await self._sandbox.get_user_home_dir(), path[2:])
        if not path.startswith("/"):
            path = posixpath.join(self._cwd or await self._sandbox.get_work_dir(), path)
        # `..` after a link leads elsewhere than the text says, so only the sandbox may resolve it.
        return path if ".." in path.split("/") else posixpath.normpath(path)

    async def kinds(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the kind of each path: `d` folder, `l` link to a folder, `f` other file, `-` nothing."""
        paths = list(dict.fromkeys(paths))
        script = _KINDS + "\n".join(f"k {shlex.quote(path)}" for path in paths)
        return dict(zip(paths, await self._run(script), strict=False))

    async def find_sources(self, words: Sequence[str]) -> list[Source]:
        """Return the sources that the words name.

        The sandbox's list is checked: a word without a pattern has one source, which is called
        like it; a pattern has sources that match it; and their entries are below them.

        Raises DaytonaFileNotFoundError for a word that names nothing, MagicUsageError for the root, and
        FileTransferError for a list of something else.
        """
        found: list[Source] = []
        for word in words:
            path = await self.absolute(word)
            refuse_root(path)
            call = f"word {shlex.quote(path)} {quote_all_but_globs(path)}"
            listed = await self._run(f"{_TREES}\n{{ {call}\n:; }} | command -p base64")
            try:
                sources = read_trees(base64.b64decode(listed, validate=False), path)
            except ValueError:
                raise FileTransferError(
                    f"The sandbox's list of files for {word!r} is not valid; nothing was copied."
                ) from None
            if not sources:
                verb = "matches" if is_pattern(word) else "is called"
                raise DaytonaFileNotFoundError(f"Nothing in the sandbox {verb} {word!r}.")
            found += sources
        return found

    def staging(self, folder: str) -> str:
        """Return the path of a new hidden folder in `folder`, and so on the same disk."""
        return posixpath.join(folder, f".daytona-upload-{secrets.token_hex(6)}")

    async def put_in_place(self, plan: Plan, staging: str) -> None:
        """Create the folders of an upload, set its modes and link its files into place.

        Raises FileTransferError.
        """
        links = (
            f"ln -s -- {shlex.quote(entry.link or '')} {shlex.quote(posixpath.join(staging, entry.place))}"
            for entry in plan.links
        )
        folders = (posixpath.join(staging, entry.place) for entry in plan.folders)
        programs = (posixpath.join(staging, entry.place) for entry in plan.files if entry.executable)
        here, there = shlex.quote(staging + "/."), shlex.quote(plan.folder + "/")
        script = [
            "set -e",
            f"trap {shlex.quote(f'rm -rf -- {shlex.quote(staging)}')} EXIT",
            *in_batches("mkdir -p --", [staging, *folders]),
            *in_batches("chmod +x --", programs),
            *links,
            # Some file systems have no links.
            f"cp -rlPf -- {here} {there} 2>/dev/null || cp -rPf -- {here} {there}",
        ]
        await self._run("\n".join(script))

    async def discard(self, staging: str, *, is_new: bool) -> None:
        """Delete the remains of a broken upload. is_new: whether the upload created the folder around it."""
        parent = shlex.quote(posixpath.dirname(staging))
        also = f"; rmdir -- {parent} 2>/dev/null" if is_new else ""
        await self._run(f"rm -rf -- {shlex.quote(staging)}{also}; :")

    async def _run(self, script: str) -> str:
        return await run_script(self._sandbox, script, reason_line=0)


async def run_script(sandbox: AsyncSandbox, script: str, *, reason_line: int) -> str:
    """Run a script of a copy and return its output. Raises FileTransferError if it fails.

    reason_line: which line of the output gives the reason, 0 for the first, -1 for the last.
    """
    answer = await sandbox.process.exec(script)
    if answer.exit_code != 0:
        reason = answer.result.strip().split("\n")[reason_line] or f"exit status {answer.exit_code}"
        raise FileTransferError(f"The sandbox could not do its part of the copy: {reason}.")
    return answer.result


def in_batches(command: str, paths: Iterable[str]) -> Iterator[str]:
    """Yield commands of a shell that run a program on all paths, on so many at a time as a system allows."""
    quoted = [shlex.quote(path) for path in paths]
    for start in range(0, len(quoted), _ARGUMENTS):
        yield f"{command} {' '.join(quoted[start : start + _ARGUMENTS])}"


def read_trees(listed: bytes, path: str) -> list[Source]:
    """Return the sources that the output of `_TREES` lists for a path or pattern.

    Raises ValueError if the output has another form, or lists something else.
    """
    fields = listed.split(b"\0")
    sources: list[Source] = []
    position = 0
    while position < len(fields) - 1:
        end = fields.index(b"", position)
        name, *lines = fields[position:end]
        source = _read_source(_as_text(name), lines, is_named=not is_pattern(posixpath.basename(path)))
        if source.path != path and not (is_pattern(path) and matches(source.path, path)):
            raise ValueError("a source that was not asked for")
        sources.append(source)
        position = end + 1
    paths = {source.path for source in sources}
    if len(paths) != len(sources) or (len(paths) > 1 and path in paths):
        raise ValueError("a source is listed twice")
    return sources


def _read_source(path: str, lines: Sequence[bytes], *, is_named: bool) -> Source:
    """Return a source. Each entry must be the source itself, or in a folder of it that is listed too."""
    read = sorted(
        (_read_entry(line, link) for line, link in zip(lines[::2], lines[1::2], strict=True)),
        key=lambda entry: entry.path.split(b"/"),  # a folder comes before its contents
    )
    if not read:
        return Source(path, (), (path,), is_named)  # it has vanished, or a shell cannot pass on its name
    root = read[0].path
    refuse_root(_as_text(root))
    entries: list[Entry] = []
    skipped: list[str] = []
    places: dict[bytes, bytes] = {}  # the kind of each, and "-" for what is skipped
    for each in read:
        place = each.path.removeprefix(root).removeprefix(b"/")
        parent = b"d" if not places else places.get(place.rpartition(b"/")[0] if place else b"/", b"")
        is_plain = not place.startswith(b"/")
        if (
            not is_plain
            or place in places
            or (places and each.path != root + b"/" + place)
            or parent not in (b"d", b"-")
        ):
            raise ValueError("an entry at the wrong place")
        is_copied = parent == b"d" and each.kind in (b"f", b"d", b"l")
        is_copied = is_copied and is_text(each.path) and is_text(each.link)
        places[place] = each.kind if is_copied else b"-"
        if is_copied:
            entries.append(each.entry(place))
        elif parent == b"d":
            skipped.append(_as_text(each.path))
    kept, elsewhere = split_links(entries)
    return Source(path, kept, [*skipped, *elsewhere] if kept else [path], is_named)


@dataclass(frozen=True)
class _Read:
    """An entry as the sandbox lists it. kind: `f`, `d`, `l` or another letter, as find's `%y`."""

    path: bytes
    kind: bytes
    mode: int
    size: int
    modified: int
    link: bytes

    def entry(self, place: bytes) -> Entry:
        """Return the entry for a copy."""
        return Entry(
            _as_text(self.path),
            _as_text(place),
            self.kind == b"d",
            self.size if self.kind == b"f" else 0,
            executable=self.kind != b"l" and bool(self.mode & OWNER_MAY_RUN),
            link=_as_text(self.link) if self.kind == b"l" else None,
            modified=self.modified if self.kind == b"f" else 0,
        )


def _read_entry(line: bytes, link: bytes) -> _Read:
    match = _ENTRY.fullmatch(line)
    if match is None or not link.startswith(b">"):
        raise ValueError("an entry of another form")
    kind, mode, size, seconds, fraction, path = match.groups()
    modified = int(seconds) * 10**9 + int((fraction or b"").ljust(9, b"0"))
    return _Read(path, kind, int(mode, 8), int(size), modified, link[1:])


def is_text(name: bytes) -> bool:
    """Return whether the API can carry a path: it takes only text."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _as_text(name: bytes) -> str:
    """Return a path as text, with escapes for bytes that are not UTF-8."""
    return name.decode("utf-8", "backslashreplace")
