"""Bundles without active content: tables and pictures stay, and nothing that runs in the page does."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from bs4 import BeautifulSoup

from daytona_kernel.kernel.relay.safe_bundle import clean_bundle, clean_html, clean_metadata
from daytona_kernel.views import WIDGET_MIME_TYPE

pytest.importorskip("nh3", reason="nh3 is not installed: pip install 'daytona-kernel[safe]'")

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src=/logout>",
    "<img src='https://elsewhere/x.png'>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='jAvAsCrIpT&colon;alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='/api/shutdown'>x</a>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<object data='x.swf'></object><embed src=x>",
    "<form action=/api/terminals method=post><input type=submit><button formaction=x>x</button></form>",
    "<base href='https://elsewhere/'><link rel=stylesheet href=x><meta http-equiv=refresh content='0;url=x'>",
    "<style>body { display: none }</style>",
    "<div style='position:fixed;inset:0;z-index:9999;background-image:url(https://elsewhere/x)'>x</div>",
    "<div style='color: expression(alert(1)); background-color: url(/logout)'>x</div>",
    "<div class='jp-Dialog' id='main'>x</div>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<details open ontoggle=alert(1)>x</details>",
    "<table background='javascript:alert(1)'><td>x</td></table>",
    "<img src='data:text/html;base64,PHNjcmlwdD4='>",
    "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "<lm-widget data-jupyter-action=x data-commandlinker-command='terminal:create-new'>run</lm-widget>",
]


@pytest.mark.parametrize("html", HOSTILE)
def test_nothing_that_runs_or_loads_is_left(html: str) -> None:
    clean = clean_html(html + "<b>after</b>")
    assert clean is not None
    for tag in BeautifulSoup(clean, "html.parser").find_all():
        assert tag.name not in {
            "script",
            "style",
            "iframe",
            "object",
            "embed",
            "form",
            "svg",
            "math",
            "template",
        }
        assert tag.name not in {"input", "button", "base", "link", "meta", "noscript", "lm-widget"}
        for name, value in tag.attrs.items():
            assert not name.startswith(("on", "data-", "form"))
            assert name not in {"id", "class", "background", "action"}
            assert name != "src" or str(value).startswith("data:image/")
            assert name != "href" or str(value).startswith(("http:", "https:", "mailto:"))
            assert name != "style" or not any(word in str(value) for word in ("url", "position", "("))


def test_a_table_of_pandas_keeps_its_look() -> None:
    html = (
        "<div><style scoped>.dataframe tbody { vertical-align: top }</style>"
        '<table border="1" class="dataframe"><thead><tr style="text-align: right;"><th></th><th>a</th></tr>'
        "</thead><tbody><tr><th>0</th><td>1</td></tr></tbody></table></div>"
    )
    clean = clean_html(html)
    assert clean is not None
    assert '<table border="1" class="dataframe">' in clean
    assert '<tr style="text-align:right">' in clean
    assert "<td>1</td>" in clean


def cleaned(data: Any, *, shown: bool = False) -> dict[str, Any]:
    return clean_bundle(data, lambda _model_id: shown)


def test_a_drawing_becomes_an_image() -> None:
    svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    html = cleaned({"image/svg+xml": svg})["text/html"]
    assert html.startswith('<img src="data:image/svg+xml;base64,')
    assert base64.b64decode(html.split("base64,")[1].split('"')[0]).decode() == svg


def test_text_and_pictures_stay() -> None:
    bundle = {"text/plain": "x", "image/png": "aGk=", "text/latex": "$x$", "application/json": {"a": [1]}}
    assert cleaned(bundle) == bundle


def test_markdown_is_shown_as_text() -> None:
    markdown = "# Title\n[x](javascript:alert(1)) <img src=x onerror=alert(1)>"
    bundle = {"text/markdown": markdown, "text/plain": "<IPython.core.display.Markdown object>"}
    assert cleaned(bundle) == {"text/plain": markdown}


@pytest.mark.parametrize(
    "kind",
    [
        "application/javascript",
        "text/javascript",
        "application/vnd.vegalite.v5+json",
        "application/vnd.plotly.v1+json",
        "application/geo+json",
        "application/vnd.bokehjs_exec.v0+json",
        "application/pdf",
        "made/up",
    ],
)
def test_other_types_are_left_out(kind: str) -> None:
    assert cleaned({kind: "alert(1)", "text/plain": "Chart"}) == {"text/plain": "Chart"}
    assert kind in cleaned({kind: {"a": 1}})["text/plain"]


def test_a_widget_is_shown_if_it_may_be() -> None:
    bundle = {WIDGET_MIME_TYPE: {"model_id": "abc", "more": "x"}, "text/plain": "IntSlider()"}
    assert cleaned(bundle) == {"text/plain": "IntSlider()"}
    shown = {"version_major": 2, "version_minor": 0, "model_id": "abc"}
    assert cleaned(bundle, shown=True) == {WIDGET_MIME_TYPE: shown, "text/plain": "IntSlider()"}


@pytest.mark.parametrize(
    "data", [None, [], "text", {"text/html": 7}, {"image/png": {"a": 1}}, {WIDGET_MIME_TYPE: 3}]
)
def test_malformed_bundles(data: object) -> None:
    assert set(cleaned(data)) <= {"text/plain"}


def test_metadata_has_only_sizes() -> None:
    metadata = {
        "image/png": {"width": 3, "height": "x", "more": 1},
        "text/html": {"isolated": True},
        "daytona-kernel-log": {"command": "x"},
        "trusted": True,
    }
    assert clean_metadata(metadata) == {"image/png": {"width": 3}}
    assert clean_metadata(None) == {}
