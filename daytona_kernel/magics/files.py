"""`%upload` and `%download`: copies of files between the notebook's machine and the sandbox."""

from __future__ import annotations

import asyncio
import posixpath
from typing import TYPE_CHECKING

from ..errors import (
    DaytonaFileNotFoundError,
    FileTransferError,
    MagicUsageError,
)
from ..wire.paths import complete_path
from .copying import local_files
from .copying.caution import HeldBack, hold_back
from .copying.plan import FOLDER_KINDS, Plan, Source, plan_copy
from .copying.remote_files import RemoteFiles
from .copying.reports import describe, join_names, report, report_held_back
from .copying.transfers import download_plan, upload_plan
from .magic import completes, magic
from .magic_call import current_directory
from .reach import Reach
from .signature import Option, Positional, Signature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .arguments import Expected
    from .magic_call import MagicCall

_FORCE = Option("force", "overwrite existing files")
_ALL = Option("all", "also hidden files, names that run by themselves, and the permission to run files")
# Up to this many destinations are checked before it is known whether their folder exists.
_EARLY_CHECKS = 100


class FileMagics:
    """`%upload` and `%download`."""

    @magic(
        "upload",
        Signature(
            (
                Positional(
                    "local", "files and folders of the notebook's machine", kind="local", repeated=True
                ),
                Positional("remote", "their destination in the sandbox", optional=True, kind="path"),
            ),
            (_FORCE,),
        ),
        Reach.READ,
    )
    async def upload(self, call: MagicCall, local: list[str], remote: str | None, force: bool) -> None:
        """Copy files and folders from the notebook's machine into the sandbox.

        As with cp -r, the last of several words is the target. It is a folder if it exists as one, ends
        in `/`, or receives several files or a pattern. A single word is copied into the notebook's
        current directory. Relative local paths start at the notebook's folder, relative remote paths at
        the current directory.

        Patterns may use `*`, `?`, `[…]` and `**`. Links within a folder are copied if they lead to
        something in it, and skipped otherwise. Existing files are overwritten only with --force. If the
        copy fails or is interrupted, the sandbox is unchanged.
        """
        sources = await asyncio.to_thread(local_files.find_sources, local)
        sandbox = await call.sandbox()
        there = RemoteFiles(sandbox, current_directory(call))
        target = await there.absolute(remote or ".")
        into = _is_explicit_folder(remote, sources, [local_files.absolute(word) for word in local])
        plan, kinds = await _plan_upload(sources, target, there, into=into)
        _check(plan, kinds, force=force)
        await upload_plan(call, sandbox.fs, there, plan, is_new=kinds[plan.folder] == "-")
        await report(call, "Uploaded", plan, [path for source in sources for path in source.skipped])

    @magic(
        "download",
        Signature(
            (
                Positional("remote", "files and folders of the sandbox", kind="path", repeated=True),
                Positional(
                    "local", "their destination on the notebook's machine", optional=True, kind="local"
                ),
            ),
            (_FORCE, _ALL),
        ),
        Reach.WRITE,
    )
    async def download(
        self, call: MagicCall, remote: list[str], local: str | None, force: bool, all_: bool
    ) -> None:
        """Copy files and folders from the sandbox to the notebook's machine.

        The words are those of %upload, in the other direction. A download writes only below its target
        and never through a link there. Code in the sandbox chooses what a folder or a pattern has. So
        --all is necessary for hidden files, for the permission to run a file, and for names that Python
        or Jupyter would run by themselves in an existing folder; a file that you name is copied as it is.
        Existing files are overwritten only with --force. If the copy of a file fails, the existing file
        stays. Links are copied as by %upload.
        """
        sandbox = await call.sandbox()
        there = RemoteFiles(sandbox, current_directory(call))
        sources = await there.find_sources(remote)
        target = local_files.absolute(local or ".")
        written = local and local_files.with_slashes(local)
        into = _is_explicit_folder(written, sources, [await there.absolute(word) for word in remote])
        into = into or local_files.kind(target) in FOLDER_KINDS
        if into:
            _require_names(remote)
        full_plan = plan_copy(sources, target, into=into)
        safe = [entry for entry in full_plan.entries if local_files.is_safe(entry.place)]
        plan = Plan(full_plan.folder, full_plan.target, safe)
        kinds = {path: local_files.kind(path) for path in (plan.folder, *plan.paths)}
        held_back = HeldBack([], 0)
        if not all_:
            chosen = (s.name for s in sources if s.is_named) if into else (each.place for each in safe[:1])
            plan, held_back = hold_back(plan, kinds, set(chosen) if call.is_seen else ())
        _check(plan, kinds, force=force, held_back=held_back)
        await download_plan(call, sandbox.fs, plan, force=force)
        await report_held_back(call, held_back)
        skipped = [path for source in sources for path in source.skipped]
        skipped += [entry.path for entry in full_plan.entries if not local_files.is_safe(entry.place)]
        await report(call, "Downloaded", plan, skipped)

    @completes("local", Reach.READ)
    async def local_paths(self, _call: MagicCall, expected: Expected) -> list[str]:
        """Return the paths of the notebook's machine that start as the typed one, and no others."""
        found = await asyncio.to_thread(complete_path, expected.typed)
        return [path for path in found if path.startswith(expected.typed)]


async def _plan_upload(
    sources: Sequence[Source], target: str, there: RemoteFiles, *, into: bool
) -> tuple[Plan, dict[str, str]]:
    """Return the plan of an upload, and the kinds of its folder and of its existing destinations.

    Where the target may be a folder or a new name, one request looks at both possibilities, unless there
    are many destinations.
    """
    as_folder = plan_copy(sources, target, into=True)
    as_named = as_folder if into else plan_copy(sources, target, into=False)
    plans = [as_folder, as_named]
    early = len(as_folder.entries) <= _EARLY_CHECKS
    paths = [path for plan in plans for path in plan.paths] if early else []
    kinds = await there.kinds([as_folder.folder, as_named.folder, *paths])
    plan = as_folder if kinds[as_folder.folder] in FOLDER_KINDS else as_named
    if kinds[plan.folder] in FOLDER_KINDS and not early:
        kinds |= await there.kinds(plan.paths)
    return plan, kinds


def _is_explicit_folder(target: str | None, sources: Sequence[Source], named: Sequence[str]) -> bool:
    """Return whether the command's words make the target a folder: a pattern may match several files."""
    return target is None or target.endswith("/") or [source.path for source in sources] != list(named)


def _require_names(words: Sequence[str]) -> None:
    """Raise MagicUsageError for a source without a name, since the sandbox would choose the copy's name."""
    for word in words:
        if posixpath.basename(word.rstrip("/")) in ("", ".", "..", "~"):
            raise MagicUsageError(
                f"The copy of {word} needs a name: %download {word} NAME, where no folder NAME exists yet."
            )


def _check(plan: Plan, kinds: dict[str, str], *, force: bool, held_back: HeldBack | None = None) -> None:
    """Raise an error for an empty copy, and for one that would overwrite something.

    kinds: of the plan's folder and of its destinations; a missing path does not exist.
    """
    if not plan.entries and held_back is not None and held_back.paths:
        raise DaytonaFileNotFoundError(f"There is nothing to copy without --all. {describe(held_back)}")
    if not plan.entries:
        raise DaytonaFileNotFoundError(
            "There is nothing to copy: links that lead elsewhere, special files and unsafe names are skipped."
        )
    if kinds[plan.folder] == "f":
        raise FileTransferError(f"{plan.folder} is a file, not a folder; nothing was copied.")
    for entry in plan.entries:
        path = plan.path(entry)
        if kinds.get(path) in (("f",) if entry.is_folder else ("d",) if entry.link else FOLDER_KINDS):
            wanted, other = ("folder", "file") if entry.is_folder else ("file", "folder")
            raise FileTransferError(
                f"The copy needs a {wanted} {path}, but that is a {other}; nothing was copied."
            )
    written = (plan.path(entry) for entry in plan.entries if not entry.is_folder)
    existing = [path for path in written if kinds.get(path, "-") != "-"]
    if existing and not force:
        verb = "exists" if len(existing) == 1 else "exist"
        raise FileTransferError(
            f"{join_names(existing)} already {verb}; nothing was copied. Add --force to overwrite."
        )
