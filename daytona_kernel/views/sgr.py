"""The style of terminal text: its colors and attributes, and the sequences that change them (SGR)."""

# ruff: noqa: PLR2004  (the numbers are terminal codes, which have no better names)

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..wire.logs import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

Color = int | str
"""0 to 15 for a color of the palette, which the page chooses; `#rrggbb` for any other color."""


class Style(NamedTuple):
    """The look of a run of characters, and the stream that it came from. `None`: the default color.

    It is a tuple, since styles are compared and looked up for every colored word of a log.
    """

    stderr: bool = False
    foreground: Color | None = None
    background: Color | None = None
    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False
    strike: bool = False


PLAIN = {Stream.STDOUT: Style(), Stream.STDERR: Style(stderr=True)}

SGR = re.compile(r"\x1b\[([0-9;:]{0,64})m")
"""An SGR sequence; its group has the parameters."""

_PARAMETERS = re.compile(r"[0-9;:]*")


@lru_cache(maxsize=4096)
def apply_sgr(style: Style, parameters: str) -> Style:
    """Return `style` after `ESC [ parameters m`. Unknown parameters change nothing."""
    if not _PARAMETERS.fullmatch(parameters):
        return style
    codes = iter(parameters.replace(":", ";:").split(";"))
    for code in codes:
        number = _number(code) if code else 0
        if number in (38, 48):
            color = _extended_color(codes)
            if color is None:
                break
            style = style._replace(foreground=color) if number == 38 else style._replace(background=color)
        else:
            style = _apply_code(style, number)
    return style


def _number(code: str) -> int:
    # `4:3` (a curly underline) arrives as `4` and `:3`. The second is a sub-parameter and not a code.
    return int(code) if code.isdigit() else -1


_CHANGES: dict[int, dict[str, Any]] = {
    1: {"bold": True},
    2: {"faint": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"inverse": True},
    9: {"strike": True},
    21: {"underline": True},
    22: {"bold": False, "faint": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"inverse": False},
    29: {"strike": False},
    39: {"foreground": None},
    49: {"background": None},
    **{30 + color: {"foreground": color} for color in range(8)},
    **{40 + color: {"background": color} for color in range(8)},
    **{90 + color: {"foreground": 8 + color} for color in range(8)},
    **{100 + color: {"background": 8 + color} for color in range(8)},
}


def _apply_code(style: Style, code: int) -> Style:
    return Style(stderr=style.stderr) if code == 0 else style._replace(**_CHANGES.get(code, {}))


def _extended_color(codes: Iterator[str]) -> Color | None:
    """Read a color after 38 or 48: `5;n` or `2;r;g;b`, or with colons, then also `2::r:g:b`."""
    kind = next(codes, "")
    colons = kind.startswith(":")
    wanted = {"5": 1, "2": 3}.get(kind.lstrip(":"), 0)
    values = [next(codes, "").lstrip(":") for _ in range(wanted)]
    if colons and wanted == 3 and values[0] == "":
        values = [*values[1:], next(codes, "").lstrip(":")]
    if not values or not all(value.isdigit() and int(value) < 256 for value in values):
        return None
    numbers = [int(value) for value in values]
    return _indexed_color(numbers[0]) if wanted == 1 else "#{:02x}{:02x}{:02x}".format(*numbers)


def _indexed_color(index: int) -> Color:
    if index < 16:
        return index
    if index >= 232:
        return "#{0:02x}{0:02x}{0:02x}".format(8 + 10 * (index - 232))
    levels = (0, 95, 135, 175, 215, 255)
    red, green, blue = (index - 16) // 36, (index - 16) // 6 % 6, (index - 16) % 6
    return f"#{levels[red]:02x}{levels[green]:02x}{levels[blue]:02x}"


def skip_line(text: str, style: Style) -> Style:
    """Return the style after `text`, which is not kept."""
    start = max(text.rfind("\x1b[0m"), text.rfind("\x1b[m"), 0)
    for sequence in SGR.finditer(text, start):
        style = apply_sgr(style, sequence[1])
    return style
