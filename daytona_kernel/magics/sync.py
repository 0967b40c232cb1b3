"""`%sync`: the project of the notebook's machine, and its copy in the sandbox."""

from __future__ import annotations

import asyncio
import os
import posixpath
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..errors import DaytonaFileNotFoundError, MagicUsageError
from ..formatting import format_bytes, format_count
from .copying import local_files
from .copying.caution import HeldBack, hold_back
from .copying.plan import Entry, Plan
from .copying.reports import join_names, readable, report_held_back
from .copying.transfers import PROGRESS_SECONDS, download_plan
from .magic import magic
from .reach import Reach
from .signature import Option, Positional, Signature
from .timing import showing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .magic_call import MagicCall
    from .project.changes import Arrivals
    from .project.mirror import Mirror, Pushed


class SyncMagic:
    """Copy the project, which is the notebook's folder or that of the setting `project`.

    .gitignore and .daytonaignore say what is left out. So are files that look like secrets (.env, keys),
    Python environments, and the notebook itself.
    """

    @magic(
        "sync push",
        Signature(
            (
                Positional(
                    "file",
                    "files and folders that are left out otherwise, such as .env",
                    optional=True,
                    kind="local",
                    repeated=True,
                ),
            ),
            (
                Option("force", "overwrite also what the sandbox has changed"),
                Option("delete", "delete there what was sent and is gone here"),
            ),
        ),
        Reach.PUSH,
        default=True,
    )
    async def push(self, call: MagicCall, file: list[str], force: bool, delete: bool) -> None:
        """Send what has changed in the project to the sandbox.

        A file that you name goes along from now on. Otherwise a file that both sides have changed is an
        error, and nothing is sent.
        """
        mirror = call.kernel_sandbox.require_mirror()
        names = [_place(mirror, word) for word in file]
        sandbox = await call.sandbox()
        async with showing(call, mirror.progress.describe, PROGRESS_SECONDS):
            pushed = await mirror.push(sandbox, names=names, force=force, delete=delete)
        await _report_push(call, pushed, await mirror.path_in(sandbox))

    @magic(
        "sync pull",
        Signature(
            (
                Positional(
                    "file", "files and folders of the project; all without it", optional=True, repeated=True
                ),
            ),
            (
                Option("force", "overwrite also files that are newer here"),
                Option("all", "also hidden files, programs, and names that run by themselves"),
                Option("delete", "delete here what was sent and is gone in the sandbox"),
                Option("dry-run", "only show what would be done"),
            ),
        ),
        Reach.PULL,
    )
    async def pull(
        self, call: MagicCall, file: list[str], force: bool, all_: bool, delete: bool, dry_run: bool
    ) -> None:
        """Bring back what the sandbox has changed in the project.

        New files are added, and files that are older here are overwritten, each with a line. A file that is
        newer here stays, unless you add --force. As with %download, hidden files, programs, and names that
        Python or Jupyter run by themselves need --all, or you name them.
        """
        mirror = call.kernel_sandbox.require_mirror()
        sandbox = await call.sandbox()
        names = [_inner(word) for word in file]
        arrived = await mirror.find_arrivals(sandbox, names)
        if names and not (arrived.new or arrived.updates or arrived.conflicts or arrived.gone):
            raise DaytonaFileNotFoundError(
                f"The sandbox has not changed {join_names(names)}, or has no such files."
            )
        plan, held_back, unsafe = await asyncio.to_thread(
            _plan_pull, mirror, arrived, set(names) if call.is_seen else set(), force=force, all_=all_
        )
        gone = arrived.gone if delete else []
        taken = {entry.place for entry in plan.entries}
        overwritten = [each.place for each in arrived.updates + arrived.conflicts if each.place in taken]
        if not dry_run:
            await download_plan(call, sandbox.fs, plan, force=True)
            await asyncio.to_thread(_delete, mirror.tree.root, gone)
            await mirror.take(plan.entries)
        would = "would be " if dry_run else ""
        await _print_places(call, f"{would}overwritten", overwritten)
        await _print_places(call, f"{would}deleted", gone)
        if not force:
            await _print_places(
                call, "newer here, and kept; --force overwrites", [each.place for each in arrived.conflicts]
            )
        await report_held_back(call, held_back)
        if unsafe:
            await call.print(f"Skipped unsafe names: {join_names(readable(unsafe))}.\n", "stderr")
        if arrived.gone and not delete:
            await _print_places(call, "gone in the sandbox, and kept; --delete deletes", arrived.gone)
        files = f"{format_count(len(plan.files), 'file')} ({format_bytes(plan.size)})"
        done = f"{files} would be pulled" if dry_run else f"Pulled {files}"
        await call.print(f"{done} to {mirror.tree.root}.\n")

    @magic("sync status", Signature(), Reach.PUSH)
    async def status(self, call: MagicCall) -> None:
        """List what has changed here and in the sandbox, and what is left out."""
        mirror = call.kernel_sandbox.require_mirror()
        sandbox = await call.sandbox()
        arrived = await mirror.find_arrivals(sandbox)
        leaving, found = await mirror.find_departures()
        path = await mirror.path_in(sandbox)
        await call.print(f"{mirror.tree.root} is copied to {path}.\n")
        await _print_places(call, "changed here", [each.place for each in leaving.changed + leaving.doubtful])
        await _print_places(call, "gone here", leaving.gone)
        await _print_places(call, "new in the sandbox", [each.place for each in arrived.new])
        await _print_places(call, "changed in the sandbox", [each.place for each in arrived.updates])
        await _print_places(call, "changed on both sides", [each.place for each in arrived.conflicts])
        await _print_places(call, "gone in the sandbox", arrived.gone)
        await _print_places(call, "left out, because it looks like a secret", found.secrets)
        await _print_places(call, "left out, because it cannot be copied", found.skipped)
        files = [each for each in found.entries.values() if not each.is_folder]
        await call.print(f"{format_count(len(files), 'file')} ({format_bytes(found.size)}) in the project.\n")


async def _report_push(call: MagicCall, pushed: Pushed, path: str) -> None:
    await _print_places(call, "left out, because it looks like a secret", pushed.secrets)
    if pushed.skipped:
        await call.print(
            "Skipped links that lead elsewhere, special and unreadable files: "
            f"{join_names(readable(pushed.skipped))}.\n",
            "stderr",
        )
    await _print_places(call, "deleted there", pushed.removed)
    await _print_places(call, "gone here, and kept there; --delete deletes", pushed.kept)
    files = format_count(pushed.files, "file")
    await call.print(f"Sent {files} ({format_bytes(pushed.size)}) to {path}.\n")


async def _print_places(call: MagicCall, what: str, places: Sequence[str]) -> None:
    if places:
        await call.print(f"{what[0].upper()}{what[1:]}: {join_names(readable(sorted(places)))}\n")


def _place(mirror: Mirror, word: str) -> str:
    """Return the place of a local path in the project. Raises MagicUsageError."""
    path = Path(local_files.absolute(word))
    real = Path(os.path.realpath(path.parent), path.name)
    if not real.is_relative_to(mirror.tree.root) or str(real) == mirror.tree.root:
        raise MagicUsageError(f"{word} is not in the project {mirror.tree.root}. %upload copies other files.")
    if not os.path.lexists(real):
        raise DaytonaFileNotFoundError(f"There is no {real}.")
    return real.relative_to(mirror.tree.root).as_posix()


def _inner(word: str) -> str:
    """Return the place that a word means, relative to the project. Raises MagicUsageError."""
    place = posixpath.normpath(word)
    if place.startswith(("/", "..")) or place == "." or not local_files.is_safe(place):
        raise MagicUsageError(f"{word!r} is not a path below the project.")
    return place


def _plan_pull(
    mirror: Mirror, arrived: Arrivals, named: set[str], *, force: bool, all_: bool
) -> tuple[Plan, HeldBack, list[str]]:
    """Return what a pull writes, what it holds back, and the names that are not safe here."""
    root = mirror.tree.root
    wanted = [*arrived.new, *arrived.updates, *(arrived.conflicts if force else ())]
    safe = [each for each in wanted if local_files.is_safe(each.place)]
    unsafe = [each.path for each in wanted if not local_files.is_safe(each.place)]
    if all_:
        return Plan(root, root, safe), HeldBack([], 0), unsafe
    folders = _new_folders(root, safe)
    entries = sorted([*safe, *folders], key=lambda each: each.place.split("/"))
    above = {posixpath.dirname(f"{root}/{each.place}") for each in entries}
    # Only folders: what exists here counts as new, since the sandbox may not change what runs by itself.
    kinds = {root: "d"} | {folder: local_files.kind(folder) for folder in above}
    plan, held_back = hold_back(Plan(root, root, entries), kinds, named)
    kept, paths = [], list(held_back.paths)
    for each in plan.entries:
        runs = _is_hidden(each) or (not each.is_folder and os.access(plan.path(each), os.X_OK))
        if runs and each.place not in named:
            paths.append(each.path)
        elif not each.is_folder:
            kept.append(each)
    return Plan(root, root, kept), HeldBack(paths, held_back.modes), unsafe


def _new_folders(root: str, entries: Sequence[Entry]) -> list[Entry]:
    """Return the folders that some entries need and that are not here."""
    found: dict[str, Entry] = {}
    for entry in entries:
        there = entry.path.removesuffix(entry.place)
        for parent in PurePosixPath(entry.place).parents[:-1]:
            if not Path(root, parent).is_dir():
                found[str(parent)] = Entry(f"{there}{parent}", str(parent), True)
    return list(found.values())


def _is_hidden(entry: Entry) -> bool:
    return any(step.startswith(".") for step in entry.place.split("/"))


def _delete(root: str, places: Sequence[str]) -> None:
    for place in places:
        path = Path(root, place)
        if Path(os.path.realpath(path.parent)) == path.parent:
            path.unlink(missing_ok=True)
