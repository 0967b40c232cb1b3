"""The sandbox's side of a copy: what is there, and how what was uploaded gets to its place.

Bytes go through the API's file calls; what those cannot tell or do goes through `process.exec`, one
call for any number of files: globs, links and modes. The scripts need a POSIX shell and find, not GNU's.

An upload arrives beside its target, in a folder of its own, and is linked into its place when it is
whole: so a broken one changes nothing, and no half file stands where a whole one was.
"""

from __future__ import annotations

import posixpath
import re
import secrets
import shlex
from typing import TYPE_CHECKING

from ...errors import DaytonaFileNotFoundError, FileTransferError
from .plan import Entry, Plan, Source, refuse_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...client.sandbox import AsyncSandbox

# In brackets only what means nothing else to a shell.
_GLOB = re.compile(r"[*?]|\[[!^]?[\w.-]+\]")
# Arguments of one program, far below what a system allows.
_ARGUMENTS = 500

_KINDS = r"""
k() { if [ -d "$1" ]; then printf d; elif [ -e "$1" ] || [ -L "$1" ]; then printf f; else printf -; fi; }
"""

# For each source: its name, its entries as `type mode size path`, an empty string.
_TREES = r"""
shopt -s globstar 2>/dev/null
if find / -maxdepth 0 -printf '' 2>/dev/null; then
    entries() { find -H "$1" -printf '%y %m %s %p\0' 2>/dev/null; }
else
    entries() {
        find "$1" -exec sh -c 'for path; do
            if [ -L "$path" ]; then type=l; elif [ -d "$path" ]; then type=d
            elif [ -f "$path" ]; then type=f; else type=o; fi
            printf "%s %s %s\0" $type "$(stat -c "%a %s" "$path")" "$path"
        done' sh {} + 2>/dev/null
    }
fi
tree() { printf '%s\0' "$1"; entries "$(readlink -f "$1" 2>/dev/null)"; printf '\0'; }
# A name is taken as it is written, where there is such a file; else as a pattern.
word() {
    if [ -e "$1" ]; then tree "$1"; return; fi
    shift
    for path; do [ -e "$path" ] && tree "$path"; done
}
"""


class RemoteFiles:
    """Files of a sandbox, as a person in `cwd` names them. cwd: None for where commands start."""

    def __init__(self, sandbox: AsyncSandbox, cwd: str | None) -> None:
        self._sandbox = sandbox
        self._cwd = cwd

    async def absolute(self, path: str) -> str:
        """Return the absolute form of a path."""
        if path == "~" or path.startswith("~/"):
            path = posixpath.join(await self._sandbox.get_user_home_dir(), path[2:])
        if not path.startswith("/"):
            path = posixpath.join(self._cwd or await self._sandbox.get_work_dir(), path)
        # A step back after a link leads elsewhere than the text says.
        return path if ".." in path.split("/") else posixpath.normpath(path)

    async def kinds(self, paths: Iterable[str]) -> str:
        """Return a letter for each path: `d` for a folder, `f` for another file, `-` for nothing."""
        return await self._run(_KINDS + "\n".join(f"k {shlex.quote(path)}" for path in paths))

    async def sources(self, words: Sequence[str]) -> list[Source]:
        """Return what the words name. Links within folders are skipped.

        Raises DaytonaFileNotFoundError when a word names nothing, and MagicUsageError for the root.
        """
        found: list[Source] = []
        for word in words:
            path = await self.absolute(word)
            refuse_root(path)
            listed = await self._run(f"{_TREES}\nword {shlex.quote(path)} {_pattern(path)}\n:")
            try:
                sources = list(_read_trees(listed))
            except ValueError:
                raise FileTransferError(
                    f"The sandbox did not list {word!r} in a form that can be read."
                ) from None
            if not sources:
                what = "matches" if _GLOB.search(word) else "is called"
                raise DaytonaFileNotFoundError(f"Nothing in the sandbox {what} {word!r}.")
            found += sources
        return found

    def staging(self, folder: str) -> str:
        """Return a folder for what is to go into `folder`, on the same disk."""
        return posixpath.join(folder, f".daytona-upload-{secrets.token_hex(6)}")

    async def put_in_place(self, plan: Plan, staging: str) -> None:
        """Give an upload its empty folders and modes, and move it to its place. Raises FileTransferError."""
        folders = (posixpath.join(staging, entry.place) for entry in plan.folders)
        programs = (posixpath.join(staging, entry.place) for entry in plan.files if entry.executable)
        here, there = shlex.quote(staging + "/."), shlex.quote(plan.folder + "/")
        script = [
            "set -e",
            f"trap {shlex.quote(f'rm -rf -- {shlex.quote(staging)}')} EXIT",
            *_in_pieces("mkdir -p --", [staging, *folders]),
            *_in_pieces("chmod +x --", programs),
            # Some disks have no links.
            f"cp -rlf -- {here} {there} 2>/dev/null || cp -rf -- {here} {there}",
        ]
        await self._run("\n".join(script))

    async def discard(self, staging: str, *, made: bool) -> None:
        """Take away what a broken upload has left. made: whether it made the folder around that."""
        parent = shlex.quote(posixpath.dirname(staging))
        also = f"; rmdir -- {parent} 2>/dev/null" if made else ""
        await self._run(f"rm -rf -- {shlex.quote(staging)}{also}; :")

    async def _run(self, script: str) -> str:
        answer = await self._sandbox.process.exec(script)
        if answer.exit_code != 0:
            said = answer.result.strip().partition("\n")[0] or f"exit status {answer.exit_code}"
            raise FileTransferError(f"The sandbox could not do its part of the copy: {said}.")
        return answer.result


def _pattern(path: str) -> str:
    """The path for the shell, in which nothing but a glob has a meaning."""
    pieces, position = [], 0
    for match in _GLOB.finditer(path):
        pieces += [_quoted(path[position : match.start()]), match[0]]
        position = match.end()
    return "".join([*pieces, _quoted(path[position:])])


def _quoted(text: str) -> str:
    return shlex.quote(text) if text else ""


def _in_pieces(command: str, paths: Iterable[str]) -> Iterator[str]:
    quoted = [shlex.quote(path) for path in paths]
    for start in range(0, len(quoted), _ARGUMENTS):
        yield f"{command} {' '.join(quoted[start : start + _ARGUMENTS])}"


def _read_trees(listed: str) -> Iterator[Source]:
    """Read what `_TREES` printed. Raises ValueError when it is something else."""
    fields = listed.split("\0")
    position = 0
    while position < len(fields) - 1:
        end = fields.index("", position)
        path, *lines = fields[position:end]
        entries: list[Entry] = []
        skipped: list[str] = []
        for line in lines:
            kind, mode, size, found = line.split(" ", 3)
            if kind not in ("f", "d"):
                skipped.append(found)
                continue
            place = found.removeprefix(entries[0].path).lstrip("/") if entries else ""
            entries.append(Entry(found, place, kind == "d", int(size), bool(int(mode, 8) & 0o100)))
        # A name that a shell cannot pass on, or that is gone already, has no entries at all.
        entries.sort(key=lambda entry: entry.place)
        yield Source(path, entries, skipped if entries else [path])
        position = end + 1
