"""Every color of the view can be read on the themes that JupyterLab comes with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import daytona_kernel.views

CSS = (Path(daytona_kernel.views.__path__[0]) / "static" / "text.css").read_text()
LIGHT, DARK = "#ffffff", "#111111"
TEXT = ("bad", "stderr", *(f"c{number}" for number in range(16)))
SIGNS = ("good", "warn")  # only the dot has them


def colors(selector: str) -> dict[str, str]:
    block = re.search(re.escape(selector) + r" \{(.*?)\}", CSS, re.DOTALL)
    assert block is not None
    return dict(re.findall(r"--dk-([\w-]+): (#[0-9a-f]{6});", block[1]))


def luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize(
    ("selector", "background"), [(".dk-log", LIGHT), ('[data-jp-theme-light="false"] .dk-log', DARK)]
)
def test_contrast(selector: str, background: str) -> None:
    """WCAG requires 4.5 for text and 3 for signs."""
    found = colors(selector)
    weak = {
        name: f"{found[name]} {contrast(found[name], background):.2f}"
        for name in (*TEXT, *SIGNS)
        if contrast(found[name], background) < (4.5 if name in TEXT else 3)
    }
    assert weak == {}


def mixed(color: str, text: str) -> str:
    """Return 70 % of a color and 30 % of another, as a saved log mixes them."""
    pairs = ((int(color[place : place + 2], 16), int(text[place : place + 2], 16)) for place in (1, 3, 5))
    return "#" + "".join(f"{round(0.7 * one + 0.3 * other):02x}" for one, other in pairs)


@pytest.mark.parametrize(("text", "background"), [("#212121", LIGHT), ("#ffffff", DARK)])
def test_a_saved_log_can_be_read_on_both_themes(text: str, background: str) -> None:
    found = colors(".dk-saved")
    names = ("stderr", *(f"c{number}" for number in range(16)))
    weak = {name: value for name in names if (value := contrast(mixed(found[name], text), background)) < 4.5}
    assert weak == {}
