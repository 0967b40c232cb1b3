"""Saved logs keep their text, styles and outcome where style sheets and scripts are dropped."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.views.log_buffer import Excerpt, LogBuffer
from daytona_kernel.views.saved_log import Heading, SavedLog
from daytona_kernel.wire.logs import LogChunk, Stream

HEADING = Heading(
    command="make <all>\nmake install",
    session="build",
    state="exited",
    exit_code=0,
    elapsed=83,
    line_count=1234,
    byte_count=56_789,
)


class Reader(HTMLParser):
    """The text and the elements of a page. GitHub keeps the elements and drops the styles."""

    VOID = frozenset({"br", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.styles: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._style = [""]
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in self.VOID
        self._open.append(tag)
        self._style.append(dict(attrs).get("style") or self._style[-1])
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self._style.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        self.styles.append((data, self._style[-1]))

    def style_of(self, text: str) -> str:
        return next(style for data, style in self.styles if data == text)


def excerpt_of(log: bytes, stream: Stream = Stream.STDOUT, max_lines: int | None = None) -> Excerpt:
    buffer = LogBuffer()
    buffer.feed(LogChunk(stream, log))
    buffer.finish()
    return buffer.read(max_lines=max_lines)


def html_of(heading: Heading, excerpt: Excerpt) -> str:
    return SavedLog(heading, excerpt).to_html()


def text_of(heading: Heading, excerpt: Excerpt) -> str:
    return SavedLog(heading, excerpt).to_text()


def test_plain() -> None:
    excerpt = excerpt_of(b"one\n\x1b[31mtwo\x1b[0m <3\nthree", max_lines=1)
    assert text_of(HEADING, excerpt).split("\n") == [
        "$ make <all> …  (exited 0 · 1:23 · 1,234 lines · 57 kB · session build)",
        "… 1 earlier line not kept …",
        "two <3",
        "three",
    ]


def test_html() -> None:
    page = Reader(html_of(HEADING, excerpt_of(b"one\n\x1b[1;31mtwo\x1b[0m <b>&\n")))
    assert page.text == "● make <all> … exited 0 · 1:23 · 1,234 lines · 57 kB · session build\none\ntwo <b>&"
    assert set(page.tags) == {"details", "summary", "span", "code", "div", "pre"}
    assert page.style_of("two") == "font-weight:bold;color:#d44343;color:var(--dk-c1)"


def test_a_long_log_is_folded_except_for_its_end() -> None:
    page = Reader(html_of(HEADING, excerpt_of(b"x\n" * 150)))
    assert page.tags.count("details") == 2
    assert "50 lines above" in page.text
    assert page.text.count("x\n") + page.text.endswith("x") >= 149


def test_colors_are_kept() -> None:
    log = b"\x1b[38;2;1;2;3mtrue\x1b[0m \x1b[48;5;21mback\x1b[0m \x1b[7minverse\x1b[0m \x1b[4;9mlines\x1b[0m"
    page = Reader(html_of(HEADING, excerpt_of(log)))
    assert page.style_of("true") == "color:#010203"
    assert page.style_of("back") == "color:#ffffff;background-color:#0000ff"
    assert page.style_of("inverse") == "color:#ffffff;background-color:#777777"
    assert page.style_of("lines") == "text-decoration:underline line-through"
    assert Reader(html_of(HEADING, excerpt_of(b"x", Stream.STDERR))).style_of("x").startswith("color:")


def test_the_palette_can_be_read_on_white_and_on_black() -> None:
    log = b"".join(b"\x1b[%dm%dx\x1b[0m\n" % (code, code) for code in [*range(30, 38), *range(90, 98)])
    page = Reader(html_of(HEADING, excerpt_of(log)))
    for code in [*range(30, 38), *range(90, 98)]:
        luminance = luminance_of(page.style_of(f"{code}x").removeprefix("color:"))
        assert 1.05 / (luminance + 0.05) >= 3.9
        assert (luminance + 0.05) / (luminance_of("#111111") + 0.05) >= 3.9


def luminance_of(color: str) -> float:
    parts = [int(color[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_log_with_lines_that_are_not_kept_says_where_they_are() -> None:
    heading = replace(HEADING, whole="%session logs build 1f")
    excerpt = excerpt_of(b"one\ntwo\nthree", max_lines=1)
    words = "%session logs build 1f prints the whole log"
    assert words in text_of(heading, excerpt)
    assert words in html_of(heading, excerpt)
    assert "%session" not in text_of(heading, excerpt_of(b"one\ntwo"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exit_code": 3}, "exited 3"),
        ({"exit_code": None}, "ended ·"),
        ({"state": "stopped", "exit_code": -15}, "stopped ·"),
        ({"state": "stopped", "exit_code": None}, "stopped"),
        ({"state": "running", "exit_code": None}, "still running"),
        ({"state": "lost", "reason": "the sandbox is gone"}, "no longer followed: the sandbox is gone"),
        ({"line_count": 1}, "1 line ·"),
    ],
)
def test_headings(changes: dict[str, object], words: str) -> None:
    heading = replace(HEADING, **changes)  # type: ignore[arg-type]
    assert words in text_of(heading, excerpt_of(b""))
    assert words in Reader(html_of(heading, excerpt_of(b""))).text


def test_a_hint_is_for_pages_alone() -> None:
    heading = replace(HEADING, hint="install <this>")
    assert "install <this>" in Reader(html_of(heading, excerpt_of(b""))).text
    assert "install" not in text_of(heading, excerpt_of(b""))


def test_an_empty_log_says_so() -> None:
    assert Reader(html_of(HEADING, excerpt_of(b""))).text.endswith("no output")


def test_a_huge_line_shows_how_much_is_missing() -> None:
    excerpt = excerpt_of(b"x" * 20_000)
    assert text_of(HEADING, excerpt).endswith("x … 3,616 more characters")
    assert "… 3,616 more characters" in html_of(HEADING, excerpt)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=50))
def test_any_text_survives(text: str) -> None:
    page = Reader(html_of(replace(HEADING, command="c"), excerpt_of(f"first\n{text}\nlast".encode())))
    assert page.text.endswith(f"\nfirst\n{text}\nlast")


def test_widgets_are_imported_with_the_first_view() -> None:
    code = "import sys, daytona_kernel.views.log_display; print([m for m in sys.modules if 'widget' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
