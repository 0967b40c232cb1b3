"""The script block of a notebook: what it needs, in a comment of a cell, as PEP 723 has it for scripts.

    # /// script
    # requires-python = ">=3.11"
    # dependencies = ["pandas>=2", "httpx"]
    # ///

Tools such as juv and uv write it into the first cell. A table for a tool in it counts for that tool alone.
Others, such as nteract, write the same two keys into the notebook's metadata, in the object `uv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import SettingError
from .kinds import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BEGIN = "# /// script"
_END = "# ///"
_AGAIN = "Change it, and run the cell again."


@dataclass(frozen=True)
class ScriptBlock:
    """What a notebook needs.

    packages: what pip takes, such as "pandas>=2". python: the versions of Python, such as ">=3.11"; None for
        any.
    """

    packages: tuple[str, ...] = ()
    python: str | None = None


def parse(source: str) -> ScriptBlock | None:
    """Return the block in the text of a cell, or None. Raises SettingError."""
    found = list(_blocks(source.splitlines()))
    if not found:
        return None
    if len(found) > 1:
        raise SettingError(f"The cell has {len(found)} blocks `{BEGIN}`; one is allowed. {_AGAIN}")
    import tomllib  # most notebooks have no such block

    try:
        content = tomllib.loads("\n".join(found[0]))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingError(f"The block `{BEGIN}` is not TOML: {error}. {_AGAIN}") from None
    return check_block(content, f"In the block `{BEGIN}`")


def check_block(content: Mapping[str, object], place: str) -> ScriptBlock:
    """Return the block with some content. place: the start of a sentence. Raises SettingError."""
    try:
        packages = PACKAGES.check(content.get("dependencies", []))
    except ValueError:
        raise SettingError(f"{place}, `dependencies` is not a list of packages. {_AGAIN}") from None
    python = content.get("requires-python")
    if python is None:
        return ScriptBlock(tuple(packages))
    return ScriptBlock(tuple(packages), _versions(python, place))


def fits(python: str, version: str) -> bool:
    """Return whether a version of Python is one of those that a block names."""
    from packaging.specifiers import SpecifierSet  # most notebooks have no such block

    return SpecifierSet(python).contains(version, prereleases=True)


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Yield the lines of each block, without the signs of the comment."""
    while BEGIN in lines:
        lines = lines[lines.index(BEGIN) + 1 :]
        count = next(
            (number for number, line in enumerate(lines) if line != "#" and not line.startswith("# ")),
            len(lines),
        )
        comment, lines = lines[:count], lines[count:]
        if _END in comment:  # the last one ends the block
            end = len(comment) - 1 - comment[::-1].index(_END)
            yield [line[2:] for line in comment[:end]]


def _versions(python: object, place: str) -> str:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    text = python if isinstance(python, str) else "none"
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise SettingError(
            f'{place}, `requires-python` names no versions, as ">=3.11" does. {_AGAIN}'
        ) from None
    return text
