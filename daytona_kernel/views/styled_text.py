"""Styled lines as a page takes them, and styles as CSS for a saved log.

A style travels as words: e stderr, b bold, d faint, i italic, u underline, s strikethrough, us both;
f and k with a color for the foreground and the background. A color is `#rrggbb`, or the name of a
variable in `static/text.css` without its `--dk-`. The page turns each word into a class of that style
sheet; a saved log gets the same declarations inline.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ansi import Color, Line, Style

STATIC = Path(__file__).parent / "static"

_DECLARATION = re.compile(r"([\w-]+): ([^;]+);")


def encode_line(line: Line) -> str | list[Any]:
    """Return a line as the page takes it: text, or [text, [length, style words, …], characters cut off]."""
    if not line.runs and not line.cut:
        return line.text
    runs: list[int | str] = []
    for length, style in line.runs:
        runs += (length, encode_style(style))
    return [line.text, runs, line.cut]


@lru_cache(maxsize=4096)
def encode_style(style: Style) -> str:
    """Return a style as words."""
    lines = "u" * style.underline + "s" * style.strike
    flags = (("e", style.stderr), ("b", style.bold), ("d", style.faint), ("i", style.italic), (lines, lines))
    words = [word for word, claimed in flags if claimed]
    foreground, background = _color_name(style.foreground), _color_name(style.background)
    if style.inverse:
        foreground, background = background or "background", foreground or "text"
    elif background and not foreground:
        foreground = "on-color"
    if foreground:
        words.append(f"f{foreground}")
    if background:
        words.append(f"k{background}")
    return " ".join(words)


@lru_cache(maxsize=4096)
def inline_css(style: Style) -> str:
    """Return the declarations that give a style to the text of a saved log; empty for plain text."""
    declarations: dict[str, str] = {}
    for word in encode_style(style).split():
        if word.startswith("f"):
            declarations["color"] = saved_color(word[1:])
        elif word.startswith("k"):
            declarations["background-color"] = saved_color(word[1:])
        else:
            declarations |= _rules()[word]
    return ";".join(f"{name}:{value}" for name, value in declarations.items())


def saved_color(name: str) -> str:
    """Return a color of a saved log as `#rrggbb`."""
    return name if name.startswith("#") else _saved_colors()[name]


def _color_name(color: Color | None) -> str:
    if color is None:
        return ""
    return f"c{color}" if isinstance(color, int) else color


@cache
def _style_sheet() -> str:
    return (STATIC / "text.css").read_text("utf-8")


@cache
def _saved_colors() -> dict[str, str]:
    block = re.search(r"^\.dk-saved \{(.*?)\}", _style_sheet(), re.DOTALL | re.MULTILINE)
    assert block is not None
    return {name.removeprefix("--dk-"): value for name, value in _DECLARATION.findall(block[1])}


@cache
def _rules() -> dict[str, dict[str, str]]:
    """Return the declarations of each style word."""
    rules = re.findall(r"^\.dk-([a-z]{1,2}) \{ (.*) \}$", _style_sheet(), re.MULTILINE)
    return {
        word: {
            name: re.sub(r"var\(--dk-([\w-]+)\)", lambda variable: saved_color(variable[1]), value)
            for name, value in _DECLARATION.findall(declarations)
        }
        for word, declarations in rules
    }
