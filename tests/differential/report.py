"""Readable reports of the differences between two executions of a notebook."""

from __future__ import annotations

import json
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .execution import CellRecord, Record

_PARTS = ("messages", "reply", "outputs", "execution_count")
_LINES = 40


def differing_cells(one: Record, other: Record) -> Iterator[tuple[CellRecord, str]]:
    """Yield each cell that differs, with a diff of its first different part."""
    for ours, theirs in zip(one.cells, other.cells, strict=True):
        for part in _PARTS:
            left, right = getattr(ours, part), getattr(theirs, part)
            if left != right:
                yield ours, f"In [{ours.source}]\n{part}: {difference(left, right)}"
                break


def difference(one: Any, other: Any) -> str:
    """Return a diff of two JSON values; empty if they are equal."""
    lines = unified_diff(_lines(one), _lines(other), "ipykernel", "daytona", lineterm="", n=2)
    shown = [line[:400] for line in lines]
    more = [f"… {len(shown) - _LINES} more lines"] if len(shown) > _LINES else []
    return "\n".join(shown[:_LINES] + more)


def _lines(value: Any) -> list[str]:
    return json.dumps(_split(value), indent=1, sort_keys=True).splitlines()


def _split(value: Any) -> Any:
    """Return the value with each text of several lines as a list, so that the diff compares lines."""
    if isinstance(value, str):
        lines = value.splitlines(keepends=True)
        return lines if len(lines) > 1 else value
    if isinstance(value, dict):
        return {key: _split(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_split(each) for each in value]
    return value
