"""`%upload` and `%download`: files and folders between the notebook's directory and the sandbox.

A plan of all files is made first, so that a refusal comes before anything is written. What the
sandbox says of names is not trusted: on this side each name must be one step of a path, and nothing
is written through a link.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import posixpath
from collections.abc import AsyncIterator, Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..client.models import FileInfo, FileUpload
from ..errors import CommandFailedError, DaytonaNotFoundError, MagicUsageError
from .arguments import Expected, Option, Signature, take_word
from .call import Call
from .progress import describe_size, progressing
from .registry import Registry

if TYPE_CHECKING:
    from ..client.filesystem import AsyncFileSystem
    from ..client.process import AsyncProcess

# More than that is a mistake, or a sandbox that invents them.
_MOST_FILES = 100_000

_UPLOAD = "LOCAL… [REMOTE]"
_DOWNLOAD = "REMOTE… [LOCAL]"
_FORCE = Option("force", "overwrite what is there already")


@dataclass(frozen=True)
class Transfer:
    """One file: where it is, where it goes, and its bytes."""

    source: str
    target: str
    size: int


def declare(registry: Registry) -> None:
    """Add `upload` and `download` to a registry."""
    registry.words("local", _local_paths)

    @registry.magic(
        "upload", Signature(options=(_FORCE,), rest="paths", rest_usage=_UPLOAD, rest_kind="local")
    )
    async def upload(call: Call, paths: str | None, force: bool) -> None:
        """Copy files and folders from the notebook's machine to the sandbox.

        `%upload data.csv` puts it into the current directory there; `%upload a.csv b.csv folder data/`
        puts all into data/, and `%upload data.csv other.csv` gives another name. Patterns such as *.csv
        are understood. What is there already is overwritten only with --force.
        """
        words = _words(paths, f"%upload {_UPLOAD}")
        fs = (await call.sandbox()).fs
        *patterns, target = words if len(words) > 1 else [*words, "./"]
        sources = [each for pattern in patterns for each in _local_matches(pattern)]
        there = posixpath.join(call.cwd or "", target)
        if len(sources) > 1 or target.endswith("/") or await _is_folder(fs, there):
            pairs = [(source, posixpath.join(there, source.name)) for source in sources]
        else:
            pairs = [(sources[0], there)]
        folders, transfers = _plan_upload(pairs)
        if not force:
            await _refuse_remote(fs, [each.target for each in transfers])
        for folder in folders:
            await fs.create_folder(folder)
        total = sum(each.size for each in transfers)
        async with progressing(call, "Uploading", total) as progress:
            uploads = [FileUpload(each.source, each.target) for each in transfers]
            if uploads:
                await fs.upload_files(uploads, on_progress=progress.report)
        await call.print(f"Uploaded {_counted(transfers)} to {posixpath.normpath(there)}.\n")

    @registry.magic("download", Signature(options=(_FORCE,), rest="paths", rest_usage=_DOWNLOAD))
    async def download(call: Call, paths: str | None, force: bool) -> None:
        """Copy files and folders from the sandbox to the notebook's machine.

        `%download result.csv` puts it into the notebook's directory; `%download a.csv plots results/`
        puts all into results/. Patterns such as *.png are understood. What is there already is
        overwritten only with --force. Links inside folders are left out.
        """
        words = _words(paths, f"%download {_DOWNLOAD}")
        sandbox = await call.sandbox()
        fs = sandbox.fs
        *patterns, target = words if len(words) > 1 else [*words, "./"]
        sources = [each for pattern in patterns for each in await _remote_matches(fs, call.cwd, pattern)]
        there = Path(os.path.expanduser(target))  # noqa: ASYNC240
        inside = len(sources) > 1 or target.endswith("/") or os.path.isdir(there)  # noqa: ASYNC240
        folders: list[Path] = [there if inside else there.parent]
        transfers: list[Transfer] = []
        links: set[str] = set()
        for source, info in sources:
            place = there / _step(posixpath.basename(source)) if inside else there
            if not info.is_dir:
                transfers.append(Transfer(source, str(place), info.size))
                continue
            folders.append(place)
            links |= await _links_below(sandbox.process, source)
            async for path, steps, found in _walk(fs, source, links):
                if len(transfers) + len(folders) > _MOST_FILES:
                    raise CommandFailedError(f"{source!r} holds more than {_MOST_FILES} files.")
                if found.is_dir:
                    folders.append(place.joinpath(*steps))
                else:
                    transfers.append(Transfer(path, str(place.joinpath(*steps)), found.size))
        _refuse_local(there, folders[1:], transfers, force=force)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        async with progressing(call, "Downloading", sum(each.size for each in transfers)) as progress:
            for each in transfers:
                await fs.download_file(each.source, each.target, on_progress=progress.report)
                progress.next()
        left_out = f" Links were left out: {', '.join(sorted(links))}." if links else ""
        await call.print(f"Downloaded {_counted(transfers)} to {there}.{left_out}\n")


def _words(text: str | None, usage: str) -> list[str]:
    words = []
    word, text = take_word(text or "")
    while word is not None:
        words.append(word)
        word, text = take_word(text)
    if text.strip():
        raise MagicUsageError(f"A quote is not closed: {text.strip()}")
    if not words:
        raise MagicUsageError(f"There is nothing to copy: {usage}.")
    return words


def _counted(transfers: Sequence[Transfer]) -> str:
    files = "1 file" if len(transfers) == 1 else f"{len(transfers)} files"
    return f"{files} ({describe_size(sum(each.size for each in transfers))})"


# From this machine


def _local_matches(pattern: str) -> list[Path]:
    expanded = os.path.expanduser(pattern)
    if os.path.exists(expanded):
        return [Path(expanded)]
    found = [Path(each) for each in sorted(glob.glob(expanded, recursive=True))]
    if not found:
        raise CommandFailedError(f"There is no {pattern!r} in {os.getcwd()}, the notebook's directory.")
    return found


def _plan_upload(pairs: Sequence[tuple[Path, str]]) -> tuple[list[str], list[Transfer]]:
    folders: list[str] = []
    transfers: list[Transfer] = []
    for source, target in pairs:
        if not source.is_dir():
            transfers.append(Transfer(str(source), target, source.stat().st_size))
            continue
        for folder, _, names in os.walk(source):
            below = posixpath.normpath(posixpath.join(target, *Path(folder).relative_to(source).parts))
            folders.append(below)
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_file():
                    transfers.append(Transfer(str(path), posixpath.join(below, name), path.stat().st_size))
    return folders, transfers


async def _is_folder(fs: AsyncFileSystem, path: str) -> bool:
    try:
        return (await fs.get_file_info(path)).is_dir
    except DaytonaNotFoundError:
        return False


async def _refuse_remote(fs: AsyncFileSystem, targets: Sequence[str]) -> None:
    """Raise when one of the files is there already."""
    names: dict[str, set[str]] = {}
    for target in targets:
        folder, name = posixpath.split(target)
        if folder not in names:
            try:
                names[folder] = {each.name for each in await fs.list_files(folder or ".")}
            except DaytonaNotFoundError:
                names[folder] = set()
        if name in names[folder]:
            raise CommandFailedError(
                f"There is a {posixpath.normpath(target)} in the sandbox already; nothing was copied. "
                "--force overwrites it."
            )


async def _local_paths(_call: Call, expected: Expected) -> list[str]:
    folder, slash, _ = expected.begun.rpartition("/")
    try:
        with os.scandir(os.path.expanduser(folder + slash) or ".") as entries:  # noqa: ASYNC240
            return sorted(f"{folder}{slash}{each.name}{'/' * each.is_dir()}" for each in entries)
    except OSError:
        return []


# From the sandbox


async def _remote_matches(fs: AsyncFileSystem, cwd: str | None, pattern: str) -> list[tuple[str, FileInfo]]:
    whole = posixpath.normpath(posixpath.join(cwd or "", pattern))
    try:
        return [(whole, await fs.get_file_info(whole))]
    except DaytonaNotFoundError:
        if not glob.has_magic(whole):
            raise CommandFailedError(f"There is no {whole!r} in the sandbox.") from None
    begun = "/" if whole.startswith("/") else ""
    found: list[tuple[str, FileInfo | None]] = [(begun, None)]
    for step in whole.strip("/").split("/"):
        found = [match for path, _ in found for match in await _matches_in(fs, path, step)]
    if not found:
        raise CommandFailedError(f"Nothing in the sandbox matches {whole!r}.")
    return [(path, info or await fs.get_file_info(path)) for path, info in found]


async def _matches_in(fs: AsyncFileSystem, folder: str, step: str) -> list[tuple[str, FileInfo | None]]:
    if not glob.has_magic(step):
        return [(posixpath.join(folder, step), None)]
    try:
        entries = await fs.list_files(folder or ".")
    except DaytonaNotFoundError:
        return []
    return [
        (posixpath.join(folder, _step(each.name)), each)
        for each in entries
        if fnmatch.fnmatchcase(each.name, step) and (not each.name.startswith(".") or step.startswith("."))
    ]


async def _links_below(process: AsyncProcess, folder: str) -> set[str]:
    """The paths of the links below a folder; what the toolbox lists of a link is of what it points to."""
    answer = await process.exec("find -P . -type l", cwd=folder)
    lines = answer.result.splitlines() if answer.exit_code == 0 else []
    return {posixpath.join(folder, line.removeprefix("./")) for line in lines}


async def _walk(
    fs: AsyncFileSystem, root: str, links: Container[str]
) -> AsyncIterator[tuple[str, tuple[str, ...], FileInfo]]:
    """Everything below a folder but links: its path, the steps to it, and what is known of it."""
    left: list[tuple[str, tuple[str, ...]]] = [(root, ())]
    while left:
        folder, steps = left.pop()
        for each in await fs.list_files(folder):
            path, below = posixpath.join(folder, each.name), (*steps, _step(each.name))
            if path in links:
                continue
            yield path, below, each
            if each.is_dir:
                left.append((path, below))


def _step(name: str) -> str:
    """Return a name of the sandbox if it is one step down a path, and nothing else."""
    if name in ("", ".", "..") or "/" in name or "\0" in name or os.sep in name:
        raise CommandFailedError(f"The sandbox names a file {name!r}, which no file can be called here.")
    return name


def _refuse_local(
    there: Path, folders: Sequence[Path], transfers: Sequence[Transfer], *, force: bool
) -> None:
    """Raise when something would be overwritten, or written to elsewhere than it says."""
    for folder in folders:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise CommandFailedError(f"{folder} is there already and no folder; nothing was copied.")
    for each in transfers:
        target = Path(each.target)
        between = [parent for parent in target.parents if parent != there and there in parent.parents]
        if any(parent.is_symlink() for parent in between):
            raise CommandFailedError(f"{target} lies behind a link; nothing was copied.")
        if target.is_dir() and not target.is_symlink():
            raise CommandFailedError(f"{target} is a folder; nothing was copied.")
        if not force and (target.exists() or target.is_symlink()):
            raise CommandFailedError(
                f"There is a {target} on the notebook's machine already; nothing was copied. "
                "--force overwrites it."
            )
