"""Numbers, sizes, durations, columns and names as people read them."""

# ruff: noqa: PLR2004  (60 seconds and 1000 bytes need no names)

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Letters that look like a space.
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun: 1 file, 2,000 files."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_bytes(count: int) -> str:
    """Return a size in decimal units: 512 B, 1.2 kB, 50 MB."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}" if unit != "B" and size < 9.95 else f"{size:.0f} {unit}"


def format_sizes(cpu: float | None, memory: float | None, disk: float | None, gpu: float | None) -> str:
    """Return the size of a sandbox: 8 cores, 16 GiB memory. None and 0 are left out."""
    cores, gpus = "core" if cpu == 1 else "cores", "GPU" if gpu == 1 else "GPUs"
    sizes = ((cpu, cores), (memory, "GiB memory"), (disk, "GiB disk"), (gpu, gpus))
    return ", ".join(f"{number:g} {unit}" for number, unit in sizes if number)


def format_duration(seconds: float) -> str:
    """Return a duration for a sentence: 0.3 s, 12 s, 3 min 5 s, 2 h 1 min, 2 h."""
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s".removesuffix(" 0 s")
    return f"{whole // 3600} h {whole % 3600 // 60} min".removesuffix(" 0 min")


def format_clock(seconds: float) -> str:
    """Return a duration for a clock that runs: 0.4 s, 12 s, 3:05, 1:02:03.

    `views/static/formats.js` has the same rules for the log view.
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def format_columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as lines of text, with each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def quote(text: str) -> str:
    """Return a text of the sandbox in quotes, so that it cannot look like anything around it.

    Letters, digits, ASCII and single spaces stay. All else is escaped: line ends of any kind, other spaces,
    invisible and combining characters, and those that change the direction.
    """
    quoted = repr(text).replace("  ", r"\x20\x20")
    return "".join(
        each
        if each.isascii() or (each.isalnum() and each not in _BLANK_LETTERS)
        else each.encode("ascii", "backslashreplace").decode()
        for each in quoted
    )
