"""The bytes of a copy on their way: uploads through a hidden folder, downloads into new files."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from ...client.models.files import FileUpload
from ...errors import (
    DaytonaBadRequestError,
    DaytonaError,
    DaytonaFileNotFoundError,
    DaytonaForbiddenError,
    FileTransferError,
)
from ...formatting import format_bytes, format_count
from ..timing import showing
from .local_files import NewFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...client.filesystem import AsyncFileSystem
    from ..magic_call import MagicCall
    from .local_files import Download
    from .plan import Entry, Plan
    from .remote_files import RemoteFiles

PROGRESS_SECONDS = 0.25

# One request carries this much at most, so that a broken connection repeats little.
_BATCH_FILES = 200
_BATCH_BYTES = 64 << 20
_PARALLEL_DOWNLOADS = 4


async def upload_plan(
    call: MagicCall, fs: AsyncFileSystem, there: RemoteFiles, plan: Plan, *, is_new: bool
) -> None:
    """Upload to a hidden folder, then put the files in place. is_new: whether plan.folder does not exist."""
    staging = there.staging(plan.folder)
    progress = Progress("Uploading", plan)
    try:
        async with showing(call, progress.describe, PROGRESS_SECONDS):
            for batch in _batches(plan.files):
                uploads = [FileUpload(entry.path, f"{staging}/{entry.place}") for entry in batch]
                await fs.upload_files(uploads, on_progress=progress.of(batch[0]))
    except (asyncio.CancelledError, DaytonaError, OSError) as error:
        try:
            await there.discard(staging, is_new=is_new)
        except DaytonaError:
            pass  # the first error is the one to report
        await call.print("Nothing was changed in the sandbox.\n", "stderr")
        if isinstance(error, OSError):
            raise FileTransferError(f"{error.filename} cannot be read: {error.strerror}.") from None
        if isinstance(error, DaytonaBadRequestError | DaytonaForbiddenError | DaytonaFileNotFoundError):
            # The person knows the folder, and not the hidden one in it.
            reason = error.message.replace(staging, plan.folder)
            raise FileTransferError(f"The sandbox refused the files: {reason}") from None
        raise
    try:
        await there.put_in_place(plan, staging)
    except asyncio.CancelledError:
        await call.print(
            "The interrupt came too late: all files have arrived, and the sandbox puts them in place now.\n",
            "stderr",
        )
        raise


async def download_plan(call: MagicCall, fs: AsyncFileSystem, plan: Plan, *, force: bool) -> None:
    """Download into the plan's folder. force: whether files may be overwritten."""
    new_files = NewFiles(plan.folder, plan.size)
    progress = Progress("Downloading", plan)
    remaining = _batches(plan.files)

    @contextmanager
    def new_file(entries: dict[str, Entry], path: str) -> Iterator[Download]:
        entry = entries[path]
        with new_files.new_file(
            entry.place, executable=entry.executable, force=force, on_progress=progress.of(entry)
        ) as sink:
            yield sink
        progress.files += 1

    async def fetch() -> None:
        for batch in remaining:
            entries = {entry.path: entry for entry in batch}
            await fs.download_each(list(entries), partial(new_file, entries))

    fetching: list[asyncio.Task[None]] = []
    try:
        for folder in plan.folders:
            new_files.make_folder(folder.place)
        async with showing(call, progress.describe, PROGRESS_SECONDS):
            fetching = [asyncio.ensure_future(fetch()) for _ in range(_PARALLEL_DOWNLOADS)]
            await asyncio.gather(*fetching)
        for link in plan.links:
            new_files.make_link(link.place, link.link or "", force=force)
    except (asyncio.CancelledError, DaytonaError):
        for task in fetching:
            task.cancel()
        await asyncio.gather(*fetching, return_exceptions=True)
        done = f"{progress.files:,} of {format_count(len(plan.files), 'file')}"
        await call.print(
            f"{done} arrived complete in {plan.target}; the others were not written.\n", "stderr"
        )
        raise
    finally:
        new_files.close()


def _batches(files: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yield the files of each request. No request has a path twice, as two of the sources may."""
    batch: dict[str, Entry] = {}
    size = 0
    for entry in files:
        is_full = len(batch) == _BATCH_FILES or size + entry.size > _BATCH_BYTES
        if batch and (is_full or entry.path in batch):
            yield list(batch.values())
            batch, size = {}, 0
        batch[entry.path] = entry
        size += entry.size
    if batch:
        yield list(batch.values())


class Progress:
    """The progress of a copy. files: the number of files that are complete."""

    def __init__(self, activity: str, plan: Plan) -> None:
        self._activity = f"{activity} {format_count(len(plan.files), 'file')}"
        self._size = plan.size
        self._moved: dict[str, int] = {}
        self.files = 0

    def of(self, entry: Entry) -> Callable[[int], None]:
        """Return a function that takes the bytes moved so far of a file, or of a batch that it starts."""
        return partial(self._moved.__setitem__, entry.place)

    def describe(self) -> dict[str, str]:
        """Return a MIME bundle with a progress bar."""
        moved = min(sum(self._moved.copy().values()), self._size)
        percent = 100 * moved // max(1, self._size)
        text = f"{self._activity}: {format_bytes(moved)} of {format_bytes(self._size)} ({percent} %)"
        bar = f'<progress value="{percent}" max="100" style="width:20em;vertical-align:middle"></progress>'
        return {"text/plain": text, "text/html": f"{bar} {escape(text)}"}
