"""The copy of a project in the sandbox: what is there, and how new files get to their places.

New files go to a hidden folder in the copy, and are linked into place when all of a step have arrived. So no
program there sees half a file. Before that, the script makes sure that the files which it replaces are still
those that were sent. The scripts need only a POSIX shell, tar, and coreutils or busybox.
"""

from __future__ import annotations

import asyncio
import base64
import posixpath
import re
import secrets
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from ...client.models.files import FileUpload
from ...errors import (
    DaytonaBadRequestError,
    DaytonaConnectionError,
    DaytonaError,
    DaytonaFileNotFoundError,
    DaytonaForbiddenError,
    FileTransferError,
)
from ..copying.remote_files import RemoteFiles, in_batches, run_script
from .changes import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ...client.sandbox import AsyncSandbox
    from ..copying.plan import Entry
    from .changes import Known
    from .packing import Load

# An archive of this size goes in the script, and saves a request. It is larger in base64.
_INLINE_BYTES = 96 << 10
_CHECKED_TOGETHER = 500
_CONFLICT = "daytona-conflict"
_DIGEST = re.compile(r"[0-9a-f]{64}")

# `differs` prints a place in base64. If any has been printed, nothing is put in place.
_CHECKS = r"""
facts() { command -p stat -c '%s %Y' -- "$@" 2>/dev/null; }
differs() {
    { [ -e "$1" ] || [ -L "$1" ]; } || return 0
    printf 'CONFLICT %s\n' "$(printf '%s' "$1" | command -p base64 | command -p tr -d '\n')"
    conflict=1
}
conflict=
"""

_PLACE = r"""
[ -z "$conflict" ] || exit 0
rest=
for each in "$staging"/new/* "$staging"/new/.[!.]* "$staging"/new/..?*; do
    [ -e "$each" ] || [ -L "$each" ] || continue
    name=${each##*/}
    if [ -e "./$name" ] || [ -L "./$name" ]; then rest=1; else mv -- "$each" .; fi
done
[ -z "$rest" ] || cp -rlPf -- "$staging/new/." . 2>/dev/null || cp -rpPf -- "$staging/new/." .
"""


class RemoteCopy:
    """The copy of a project at `path`, an absolute path in a sandbox."""

    def __init__(self, sandbox: AsyncSandbox, path: str) -> None:
        self.path = path
        self._sandbox = sandbox
        self._files = RemoteFiles(sandbox, None)

    async def entries(self) -> dict[str, Entry]:
        """Return what is there, by place; nothing if there is no such folder. Raises DaytonaError.

        The names are the sandbox's: check them before they are used here.
        """
        try:
            (source,) = await self._files.find_sources([self.path])
        except DaytonaFileNotFoundError:
            return {}
        return {entry.place: entry for entry in source.entries if entry.place}

    async def digests(self, places: Sequence[str]) -> dict[str, str]:
        """Return the SHA-256 of some files, in hexadecimal. Files that cannot be read are left out."""
        if not places:
            return {}
        # One file each, from its standard input, so that nothing in the answer depends on a name.
        words = (shlex.quote(f"./{place}") for place in places)
        sums = "\n".join(f"command -p sha256sum < {word} || echo -" for word in words)
        script = f"cd -- {shlex.quote(self.path)} || exit\n{sums}"
        answer = await self._sandbox.process.exec(f"{{ {script}\n}} 2>/dev/null; :")
        lines = [line.partition(" ")[0] for line in answer.result.splitlines()]
        return {
            place: line
            for place, line in zip(places, lines, strict=False)
            if len(lines) == len(places) and _DIGEST.fullmatch(line)
        }

    async def place(
        self,
        load: Load,
        replaced: Mapping[str, Known | None],
        on_progress: Callable[[int], object],
    ) -> list[str]:
        """Send a load and put it in place. Return the places that the sandbox has changed.

        If there are any, nothing was put in place.

        replaced: what is known of the files that the load replaces; None for a place that was never sent.
            A place that is missing here is replaced whatever is there.

        Raises FileTransferError and other DaytonaErrors.
        """
        staging = posixpath.join(self.path, f".daytona-sync-{secrets.token_hex(6)}")
        is_inline = len(load.archive) <= _INLINE_BYTES and not load.large
        try:
            if not is_inline:
                uploads = [FileUpload(load.archive, f"{staging}/archive")]
                uploads += [FileUpload(each.path, f"{staging}/new/{each.place}") for each in load.large]
                await self._sandbox.fs.upload_files(uploads, on_progress=on_progress)
            return await self._put_in_place(load, staging, replaced, is_inline=is_inline)
        except (asyncio.CancelledError, DaytonaConnectionError):
            with suppress(DaytonaError):  # the first error is the one to report
                await self._sandbox.process.exec(f"rm -rf -- {shlex.quote(staging)}")
            raise
        except OSError as error:
            raise FileTransferError(f"{error.filename} cannot be read: {error.strerror}.") from None
        except (DaytonaBadRequestError, DaytonaForbiddenError, DaytonaFileNotFoundError) as error:
            # The person knows the folder, and not the hidden one in it.
            reason = error.message.replace(staging, self.path)
            raise FileTransferError(f"The sandbox refused the files: {reason}") from None

    async def _put_in_place(
        self, load: Load, staging: str, replaced: Mapping[str, Known | None], *, is_inline: bool
    ) -> list[str]:
        quoted = shlex.quote(staging)
        unpack = 'tar -xof "$staging/archive" -C "$staging/new" && rm -f -- "$staging/archive"'
        if is_inline:
            text = base64.encodebytes(load.archive).decode()
            unpack = f"base64 -d <<'ARCHIVE' | tar -xof - -C \"$staging/new\"\n{text}ARCHIVE"
        times = (
            f'touch -d "@{each.modified // SECOND}" -- "$staging"/new/{shlex.quote(each.place)}'
            for each in load.large
        )
        modes = (f"{staging}/new/{each.place}" for each in load.large if each.executable)
        script = [
            f"set -e\nstaging={quoted}",
            "trap 'rm -rf -- \"$staging\"' EXIT",
            f'mkdir -p -- "$staging/new"\ncd -- {shlex.quote(self.path)}',
            unpack,
            *in_batches("chmod +x --", modes),
            *times,
            *_checks(replaced),
            _PLACE,
        ]
        answer = await self._run("\n".join(script))
        return [_decode(line) for line in answer.splitlines() if line.startswith(_CONFLICT)]

    async def remove(self, places: Iterable[str]) -> None:
        """Remove files, and the folders that are empty then. Raises FileTransferError."""
        ordered = sorted(places, key=lambda place: -place.count("/"))
        if not ordered:
            return
        quoted = [f"./{place}" for place in ordered]
        script = [f"cd -- {shlex.quote(self.path)} || exit 0"]
        for place in quoted:
            word = shlex.quote(place)
            script.append(
                f"if [ -d {word} ] && [ ! -L {word} ]; then rmdir -- {word} 2>/dev/null; "
                f"else rm -f -- {word}; fi"
            )
        await self._run("\n".join([*script, ":"]))

    async def _run(self, script: str) -> str:
        return await run_script(self._sandbox, script, reason_line=-1)


def _checks(replaced: Mapping[str, Known | None]) -> list[str]:
    """Return commands that find the places which are not as they are expected to be."""
    lines = [_CHECKS.replace("CONFLICT", _CONFLICT)]
    expected: list[tuple[str, str]] = []
    for place, before in replaced.items():
        word = shlex.quote(f"./{place}")
        if before is None or before.remote_size < 0:
            lines.append(f"differs {word}")
        else:
            expected.append((word, f"{before.remote_size} {before.remote_modified // SECOND}"))
    for start in range(0, len(expected), _CHECKED_TOGETHER):
        batch = expected[start : start + _CHECKED_TOGETHER]
        words, facts = " ".join(word for word, _ in batch), "\n".join(facts for _, facts in batch)
        each = "; ".join(f"[ \"$(facts {word})\" = '{about}' ] || differs {word}" for word, about in batch)
        lines.append(f"[ \"$(facts {words})\" = '{facts}' ] || {{ {each}; }}")
    return lines


def _decode(line: str) -> str:
    """Return the place in a line of the script. The text is the sandbox's, and only shown."""
    try:
        return base64.b64decode(line.split(" ", 1)[1], validate=True).decode().removeprefix("./")
    except (ValueError, IndexError):
        return "a file"
