"""`%upload` and `%download`: files and folders between the notebook's machine and the sandbox."""

from __future__ import annotations

import asyncio
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from ..client.models import FileUpload
from ..errors import DaytonaError, DaytonaFileNotFoundError, FileTransferError
from ..formatting import format_bytes, format_count
from .arguments import Expected, Option, Positional, Signature
from .copying import local_files
from .copying.local_files import NewFiles
from .copying.plan import Entry, Plan, Source, plan_copy
from .copying.remote_files import RemoteFiles
from .timing import showing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..client.filesystem import AsyncFileSystem
    from .magic_call import MagicCall
    from .registry import Registry

_FORCE = Option("force", "overwrite files that are there")
_LOOK_SECONDS = 0.25

# What goes with one request, so that a broken connection costs not everything.
_BATCH_FILES = 200
_BATCH_BYTES = 64 << 20
_DOWNLOADS_AT_ONCE = 4
_SHOWN_NAMES = 3


def declare(registry: Registry) -> None:
    """Add `upload` and `download` to a registry."""
    registry.words("local", _complete_local)

    @registry.magic(
        "upload",
        Signature(
            (
                Positional(
                    "local", "files and folders of the notebook's machine", kind="local", repeated=True
                ),
                Positional("remote", "where they go in the sandbox", optional=True, kind="path"),
            ),
            (_FORCE,),
        ),
    )
    async def upload(call: MagicCall, local: list[str], remote: str | None, force: bool) -> None:
        """Copy files and folders from the notebook's machine into the sandbox.

        As with cp -r, the last of several words is the target: a folder when it is one, ends in `/`, or
        several files or a pattern are copied. One word goes into the notebook's current directory.
        Relative paths begin where the notebook lies, and in the sandbox at its current directory.

        Patterns have `*`, `?`, `[…]` and `**`. Links within folders are skipped. Nothing is overwritten
        without --force, and nothing is changed when the copy breaks or is interrupted.
        """
        sources = await asyncio.to_thread(local_files.find_sources, local)
        sandbox = await call.sandbox()
        there = RemoteFiles(sandbox, call.cwd)
        target = await there.absolute(remote or ".")
        into = _is_into(remote, sources, [local_files.absolute(word) for word in local])
        plan = plan_copy(sources, target, into=into or await there.kinds([target]) == "d")
        kind = await there.kinds([plan.folder])
        _check(plan, kind, await there.kinds(map(plan.path, plan.entries)) if kind == "d" else "", force)
        await _upload(call, sandbox.fs, there, plan, made=kind == "-")
        await _tell(call, "Uploaded", plan, [path for source in sources for path in source.skipped])

    @registry.magic(
        "download",
        Signature(
            (
                Positional("remote", "files and folders of the sandbox", kind="path", repeated=True),
                Positional("local", "where they go on the notebook's machine", optional=True, kind="local"),
            ),
            (_FORCE,),
        ),
    )
    async def download(call: MagicCall, remote: list[str], local: str | None, force: bool) -> None:
        """Copy files and folders from the sandbox to the notebook's machine.

        The words are as for %upload, the other way round. Nothing is written outside the target or
        through a link there; links and names that are not safe here are skipped. Nothing is overwritten
        without --force, and a file that breaks off leaves the one that was there.
        """
        sandbox = await call.sandbox()
        there = RemoteFiles(sandbox, call.cwd)
        sources = await there.sources(remote)
        target = local_files.absolute(local or ".")
        into = _is_into(local, sources, [await there.absolute(word) for word in remote])
        whole = plan_copy(sources, target, into=into or local_files.kind(target) == "d")
        safe = [entry for entry in whole.entries if local_files.is_safe(entry.place)]
        plan = Plan(whole.folder, whole.target, safe)
        kinds = "".join(local_files.kind(plan.path(entry)) for entry in plan.entries)
        _check(plan, local_files.kind(plan.folder), kinds, force)
        await _download(call, sandbox.fs, plan, force)
        skipped = [path for source in sources for path in source.skipped]
        skipped += [entry.path for entry in whole.entries if not local_files.is_safe(entry.place)]
        await _tell(call, "Downloaded", plan, skipped)


async def _upload(
    call: MagicCall, fs: AsyncFileSystem, there: RemoteFiles, plan: Plan, *, made: bool
) -> None:
    staging = there.staging(plan.folder)
    progress = _Progress("Uploading", plan)
    try:
        async with showing(call, progress.describe, _LOOK_SECONDS):
            for batch in _batches(plan.files):
                uploads = [FileUpload(entry.path, f"{staging}/{entry.place}") for entry in batch]
                await fs.upload_files(uploads, on_progress=progress.of(batch[0]))
    except (asyncio.CancelledError, DaytonaError, OSError) as error:
        try:
            await there.discard(staging, made=made)
        except DaytonaError:
            pass  # the sandbox may be what is broken
        await call.print("Nothing was changed in the sandbox.\n", "stderr")
        if isinstance(error, OSError):
            raise FileTransferError(f"{error.filename} cannot be read: {error.strerror}.") from None
        raise
    try:
        await there.put_in_place(plan, staging)
    except asyncio.CancelledError:
        await call.print("Everything had arrived, and is still being put in its place.\n", "stderr")
        raise


async def _download(call: MagicCall, fs: AsyncFileSystem, plan: Plan, force: bool) -> None:
    here = NewFiles(plan.folder)
    progress = _Progress("Downloading", plan)
    waiting = iter(plan.files)

    async def fetch() -> None:
        for entry in waiting:
            moved = progress.of(entry)
            with here.new_file(
                entry.place, executable=entry.executable, force=force, on_progress=moved
            ) as sink:
                await fs.download_file(entry.path, sink)
            progress.files += 1

    fetching: list[asyncio.Task[None]] = []
    try:
        for folder in plan.folders:
            here.make_folder(folder.place)
        async with showing(call, progress.describe, _LOOK_SECONDS):
            fetching = [asyncio.ensure_future(fetch()) for _ in range(_DOWNLOADS_AT_ONCE)]
            await asyncio.gather(*fetching)
    except (asyncio.CancelledError, DaytonaError):
        for task in fetching:
            task.cancel()
        await asyncio.gather(*fetching, return_exceptions=True)
        done = f"{progress.files:,} of {format_count(len(plan.files), 'file')}"
        await call.print(f"{done} arrived whole in {plan.target}; nothing is left of the others.\n", "stderr")
        raise
    finally:
        here.close()


def _batches(files: Sequence[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for entry in files:
        if batch and (len(batch) == _BATCH_FILES or size + entry.size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch


def _is_into(target: str | None, sources: Sequence[Source], named: Sequence[str]) -> bool:
    """Whether the target is a folder by the way it was asked for: what a pattern matches may be many."""
    return target is None or target.endswith("/") or [source.path for source in sources] != list(named)


def _check(plan: Plan, kind: str, kinds: str, force: bool) -> None:
    """Refuse what would overwrite something. kind: what is at the folder, kinds: at each entry's place."""
    if not plan.entries:
        raise DaytonaFileNotFoundError("There is nothing to copy but links, special files and unsafe names.")
    if kind == "f":
        raise FileTransferError(f"{plan.folder} is a file, and no folder for what is to go there.")
    there = dict(zip(map(plan.path, plan.entries), kinds, strict=False))
    for entry in plan.entries:
        path = plan.path(entry)
        if there.get(path) == ("f" if entry.is_folder else "d"):
            what, other = ("folder", "file") if entry.is_folder else ("file", "folder")
            raise FileTransferError(f"There is a {other} {path} where a {what} would go; nothing was copied.")
    taken = [plan.path(entry) for entry in plan.files if there.get(plan.path(entry)) == "f"]
    if taken and not force:
        verb = "exists" if len(taken) == 1 else "exist"
        raise FileTransferError(f"{_names(taken)} {verb} already; nothing was copied. --force overwrites.")


async def _tell(call: MagicCall, done: str, plan: Plan, skipped: Sequence[str]) -> None:
    if skipped:
        told = _names(
            [ascii(path) if not local_files.is_safe(path.lstrip("/")) else path for path in skipped]
        )
        await call.print(f"Skipped links, special files and unsafe names: {told}.\n", "stderr")
    files = format_count(len(plan.files), "file")
    await call.print(f"{done} {files} ({format_bytes(plan.size)}) to {plan.target}.\n")


def _names(paths: Sequence[str]) -> str:
    more = len(paths) - _SHOWN_NAMES
    return ", ".join(paths[:_SHOWN_NAMES]) + (f" and {more:,} more" if more > 0 else "")


class _Progress:
    """How far a copy is. files: how many are there whole."""

    def __init__(self, doing: str, plan: Plan) -> None:
        self._doing = f"{doing} {format_count(len(plan.files), 'file')}"
        self._size = plan.size
        self._moved: dict[str, int] = {}
        self.files = 0

    def of(self, entry: Entry) -> Callable[[int], None]:
        """Return what is called with the bytes of a file, or of several that begin with it."""
        return partial(self._moved.__setitem__, entry.place)

    def describe(self) -> dict[str, str]:
        moved = min(sum(self._moved.copy().values()), self._size)
        percent = 100 * moved // max(1, self._size)
        text = f"{self._doing}: {format_bytes(moved)} of {format_bytes(self._size)} ({percent} %)"
        bar = f'<progress value="{percent}" max="100" style="width:20em;vertical-align:middle"></progress>'
        return {"text/plain": text, "text/html": f"{bar} {escape(text)}"}


async def _complete_local(_call: MagicCall, expected: Expected) -> list[str]:
    return await asyncio.to_thread(local_files.complete, expected.begun)
