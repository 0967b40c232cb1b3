"""What a person is told about a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...formatting import format_bytes, format_count
from .local_files import is_safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..magic_call import MagicCall
    from .caution import HeldBack
    from .plan import Plan

_SHOWN_NAMES = 3


async def report(call: MagicCall, done: str, plan: Plan, skipped: Sequence[str]) -> None:
    """Print what was copied. done: the verb. skipped: the paths that could not be copied."""
    if skipped:
        await call.print(
            "Skipped links that lead elsewhere, special files, and names that are unsafe or not UTF-8: "
            f"{join_names(readable(skipped))}.\n",
            "stderr",
        )
    files = format_count(len(plan.files), "file")
    await call.print(f"{done} {files} ({format_bytes(plan.size)}) to {plan.target}.\n")


async def report_held_back(call: MagicCall, held_back: HeldBack) -> None:
    """Print what a download has left out."""
    if held_back.paths:
        await call.print(describe(held_back) + "\n", "stderr")
    if held_back.modes:
        files = format_count(held_back.modes, "file")
        await call.print(f"The permission to run was left out for {files}; --all keeps it.\n", "stderr")


def describe(held_back: HeldBack) -> str:
    """Return a sentence about names that a download has left out."""
    return (
        "Left out hidden names, and names that Python or Jupyter would run by themselves: "
        f"{join_names(readable(held_back.paths))}. --all copies them."
    )


def readable(paths: Sequence[str]) -> list[str]:
    """Return paths with escapes for those that a person could misread."""
    return [path if is_safe(path.lstrip("/")) else ascii(path) for path in paths]


def join_names(paths: Sequence[str]) -> str:
    """Return the first names, and the number of the others."""
    more = len(paths) - _SHOWN_NAMES
    return ", ".join(paths[:_SHOWN_NAMES]) + (f" and {more:,} more" if more > 0 else "")
