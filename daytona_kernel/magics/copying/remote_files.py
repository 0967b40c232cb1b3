"""The sandbox's side of a copy: the files there, and how an upload gets to its destination.

Bytes travel through the API's file operations. Those cannot handle patterns, links and modes, so one
`process.exec` does that for any number of files. The scripts need only a POSIX shell and `find`.

An upload goes to a hidden folder beside its destination, and its files are linked into place when all of
them have arrived. A broken upload therefore changes nothing, and never leaves half a file.
"""

from __future__ import annotations

import posixpath
import secrets
import shlex
from typing import TYPE_CHECKING

from ...errors import DaytonaFileNotFoundError, FileTransferError
from .patterns import is_pattern, quote_all_but_globs
from .plan import Entry, Plan, Source, refuse_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...client.sandbox import AsyncSandbox

# The arguments of one program: far fewer than any system allows.
_ARGUMENTS = 500
_OWNER_MAY_RUN = 0o100

_KINDS = r"""
k() { if [ -d "$1" ]; then printf d; elif [ -e "$1" ] || [ -L "$1" ]; then printf f; else printf -; fi; }
"""

# For each source, prints its name, its entries as `type mode size path`, and an empty string.
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
# A word is a file's name if there is such a file, else a pattern.
word() {
    if [ -e "$1" ]; then tree "$1"; return; fi
    shift
    for path; do [ -e "$path" ] && tree "$path"; done
}
"""


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
        """Return the kind of each path: `d` for a folder, `f` for another file, `-` for nothing."""
        paths = list(dict.fromkeys(paths))
        script = _KINDS + "\n".join(f"k {shlex.quote(path)}" for path in paths)
        return dict(zip(paths, await self._run(script), strict=False))

    async def find_sources(self, words: Sequence[str]) -> list[Source]:
        """Return the sources that the words name. Links within folders are skipped.

        Raises DaytonaFileNotFoundError for a word that names nothing, and MagicUsageError for the root.
        """
        found: list[Source] = []
        for word in words:
            path = await self.absolute(word)
            refuse_root(path)
            listed = await self._run(f"{_TREES}\nword {shlex.quote(path)} {quote_all_but_globs(path)}\n:")
            try:
                sources = list(_read_trees(listed))
            except ValueError:
                raise FileTransferError(
                    f"The sandbox's list of the files in {word!r} is not readable; nothing was copied."
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
        folders = (posixpath.join(staging, entry.place) for entry in plan.folders)
        programs = (posixpath.join(staging, entry.place) for entry in plan.files if entry.executable)
        here, there = shlex.quote(staging + "/."), shlex.quote(plan.folder + "/")
        script = [
            "set -e",
            f"trap {shlex.quote(f'rm -rf -- {shlex.quote(staging)}')} EXIT",
            *_in_batches("mkdir -p --", [staging, *folders]),
            *_in_batches("chmod +x --", programs),
            # Some file systems have no links.
            f"cp -rlf -- {here} {there} 2>/dev/null || cp -rf -- {here} {there}",
        ]
        await self._run("\n".join(script))

    async def discard(self, staging: str, *, is_new: bool) -> None:
        """Delete the remains of a broken upload. is_new: whether the upload created the folder around it."""
        parent = shlex.quote(posixpath.dirname(staging))
        also = f"; rmdir -- {parent} 2>/dev/null" if is_new else ""
        await self._run(f"rm -rf -- {shlex.quote(staging)}{also}; :")

    async def _run(self, script: str) -> str:
        answer = await self._sandbox.process.exec(script)
        if answer.exit_code != 0:
            reason = answer.result.strip().partition("\n")[0] or f"exit status {answer.exit_code}"
            raise FileTransferError(f"The sandbox could not do its part of the copy: {reason}.")
        return answer.result


def _in_batches(command: str, paths: Iterable[str]) -> Iterator[str]:
    quoted = [shlex.quote(path) for path in paths]
    for start in range(0, len(quoted), _ARGUMENTS):
        yield f"{command} {' '.join(quoted[start : start + _ARGUMENTS])}"


def _read_trees(listed: str) -> Iterator[Source]:
    """Read the output of `_TREES`. Raises ValueError if it has another form."""
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
            executable = bool(int(mode, 8) & _OWNER_MAY_RUN)
            entries.append(Entry(found, place, kind == "d", int(size), executable))
        entries.sort(key=lambda entry: entry.place)
        # A source without entries has vanished, or a shell cannot pass on its name.
        yield Source(path, entries, skipped if entries else [path])
        position = end + 1
