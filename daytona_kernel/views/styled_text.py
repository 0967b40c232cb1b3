"""Styled lines as a page takes them, and styles as CSS for a saved log.

A style travels as words: e stderr, b bold, d faint, i italic, u underline, s strikethrough, us underline and
strikethrough; f and k with a color for the foreground and the background. A color is `#rrggbb`, or the name
of a variable in `static/text.css` without its `--dk-`. The page turns each word into a class of that style
sheet; a saved log gets the same declarations inline. A saved log does not know its background, so its colors
can be read on white and on black, and JupyterLab mixes them with the color of its theme's text.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .line_editor import Line
    from .sgr import Color, Style

STATIC = Path(__file__).parent / "static"

_VARIABLE = re.compile(r"var\(--dk-([\w-]+)\)")
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
    words = encode_style(style).split()
    knows_background = any(word.startswith("k") for word in words)
    for word in words:
        if word.startswith("f"):
            declarations["color"] = saved_color(word[1:]) if knows_background else _foreground(word[1:])
        elif word.startswith("k"):
            declarations["background-color"] = saved_color(word[1:])
        else:
            declarations |= _rules()[word]
    return ";".join(f"{name}:{value}" for name, value in declarations.items())


def themed_colors(html: str) -> str:
    """Return the declarations of the variables that the foregrounds in a saved log's HTML use."""
    names = sorted(set(_VARIABLE.findall(html)))
    colors = ((name, saved_color(name)) for name in names)
    return "".join(
        f";--dk-{name}:color-mix(in srgb,{color} 70%,var(--jp-content-font-color1,{color}))"
        for name, color in colors
    )


def _foreground(name: str) -> str:
    # JupyterLab keeps only the first of the two in a notebook that it does not trust.
    color = saved_color(name)
    return color if name.startswith("#") else f"{color};color:var(--dk-{name})"


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
            name: _VARIABLE.sub(lambda variable: _foreground(variable[1]), value)
            for name, value in _DECLARATION.findall(declarations)
        }
        for word, declarations in rules
    }
