"""MIME bundles without active content, which a page shows without running code.

A front end runs the scripts of an output in its page, and the page can do everything that its person can do
in Jupyter. So a bundle keeps the types that are text or pixels. HTML is sanitized, a drawing (SVG) becomes an
image, in which a browser runs no script, and Markdown becomes plain text. Other types are left out: they
run code (JavaScript), have their own interpreter (Vega, Plotly), or are unknown.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING, Any

from ...views import WIDGET_MIME_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

_HTML, _MARKDOWN, _SVG, _PLAIN = "text/html", "text/markdown", "image/svg+xml", "text/plain"
_TEXTS = (_PLAIN, "text/latex", "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp")
_JSON = "application/json"

_SIZES = ("width", "height")
_LEFT_OUT = "[This output was left out, because its type can run code in the page: {}.]"

# fmt: off
_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd", "del",
    "details", "div", "dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small", "span",
    "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u",
    "ul", "var",
}
# fmt: on
_ATTRIBUTES = {
    "*": {"style", "title", "dir", "lang"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "table": {"border", "class"},
    "td": {"colspan", "rowspan", "align"},
    "th": {"colspan", "rowspan", "align", "scope"},
    "col": {"span"},
    "ol": {"start"},
    "details": {"open"},
}
# They change how a text looks, and neither its place in the page nor what the browser loads.
# fmt: off
_STYLES = {
    "background-color", "border", "border-bottom", "border-collapse", "border-left", "border-radius",
    "border-right", "border-top", "color", "font-family", "font-size", "font-style",
    "font-variant-numeric", "font-weight", "height", "line-height", "max-height", "max-width",
    "overflow", "padding", "padding-bottom", "padding-left", "padding-right", "padding-top",
    "text-align", "text-decoration", "text-overflow", "vertical-align", "white-space", "width",
}
# fmt: on
_IMAGES = (
    "data:image/png;",
    "data:image/jpeg;",
    "data:image/gif;",
    "data:image/webp;",
    "data:image/svg+xml;",
)


def clean_bundle(data: object, is_shown: Callable[[str], bool]) -> dict[str, Any]:
    """Return a MIME bundle without active content.

    is_shown: returns whether the widget with a model id may be shown.
    """
    if not isinstance(data, dict):
        return {}
    found = {kind: _clean_value(kind, value, is_shown) for kind, value in data.items()}
    clean = {kind: value for kind, value in found.items() if value is not None}
    if (drawing := clean.pop(_SVG, None)) is not None:
        clean.setdefault(_HTML, drawing)
    if (text := clean.pop(_MARKDOWN, None)) is not None:
        clean[_PLAIN] = text
    if data and not clean:
        clean[_PLAIN] = _LEFT_OUT.format(", ".join(sorted(map(str, data))))
    return clean


def _clean_value(kind: str, value: object, is_shown: Callable[[str], bool]) -> object | None:
    """Return a value of a bundle without active content: a drawing as HTML. None: it is left out."""
    if kind == WIDGET_MIME_TYPE:
        model_id = str(value.get("model_id")) if isinstance(value, dict) else ""
        return {"version_major": 2, "version_minor": 0, "model_id": model_id} if is_shown(model_id) else None
    if kind == _JSON:
        return value
    if not isinstance(value, str):
        return None
    if kind == _HTML:
        return clean_html(value)
    if kind == _SVG:
        return _as_image(value)
    return value if kind in _TEXTS or kind == _MARKDOWN else None


def clean_metadata(metadata: object) -> dict[str, Any]:
    """Return the metadata of a bundle: the sizes of its images, and nothing else."""
    if not isinstance(metadata, dict):
        return {}
    return {
        kind: {name: about[name] for name in _SIZES if type(about.get(name)) in (int, float)}
        for kind, about in metadata.items()
        if kind in _TEXTS and isinstance(about, dict)
    }


def clean_html(html: str) -> str | None:
    """Return HTML without scripts, forms, style sheets, and anything that loads from elsewhere.

    Returns None if the package nh3 is not installed.
    """
    cleaner = _cleaner()
    return None if cleaner is None else str(cleaner.clean(html))


@cache
def _cleaner() -> Any:
    try:
        import nh3
    except ImportError:
        return None
    return nh3.Cleaner(
        tags=_TAGS,
        clean_content_tags={"script", "style", "title", "template"},
        attributes=_ATTRIBUTES,
        attribute_filter=_clean_attribute,
        url_schemes={"http", "https", "mailto", "data"},
        # A link of the same server could ask it to do something.
        url_relative="deny",
        filter_style_properties=_STYLES,
    )


def _clean_attribute(_tag: str, name: str, value: str) -> str | None:
    """Return the value of an attribute, or None to drop the attribute."""
    if name == "class":
        return "dataframe" if "dataframe" in value.split() else None  # the look of a table of pandas
    if name == "src":
        return value if value.startswith(_IMAGES) else None
    if name == "href":
        return value if value.startswith(("http:", "https:", "mailto:")) else None
    if name == "style":
        return None if "(" in value.replace("rgb(", "").replace("rgba(", "") else value  # url(…) loads
    return value


def _as_image(svg: str) -> str:
    data = base64.b64encode(svg.encode("utf-8", "replace")).decode()
    return f'<img src="data:image/svg+xml;base64,{data}">'
