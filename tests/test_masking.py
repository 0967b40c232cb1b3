"""Known secrets are found in each form in which people meet them, and across pieces of text."""

from __future__ import annotations

import asyncio
import base64
import html
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daytona_kernel import known_secrets, masking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

KEY = "dtn_0123456789abcdef'<&/+\"\\xyz"
SHOWN = "…" + KEY[-4:]


@pytest.fixture(autouse=True, scope="module")
def _known() -> Iterator[None]:
    """Know the secrets of these tests alone: another test's may be the beginning of one of them."""
    others = known_secrets._known
    known_secrets._known = ()
    known_secrets.add(KEY)
    yield
    known_secrets._known = others


@pytest.mark.parametrize(
    "form",
    [KEY, repr(KEY)[1:-1], json.dumps(KEY)[1:-1], html.escape(KEY), quote(KEY, safe="")],
    ids=["itself", "repr", "JSON", "HTML", "URL"],
)
def test_forms(form: str) -> None:
    assert masking.mask_text(f"before {form} after") == f"before {SHOWN} after"


@given(st.binary(max_size=9), st.binary(max_size=9), st.booleans())
def test_base64_of_texts_around_a_secret(before: bytes, after: bytes, url: bool) -> None:
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    text = encode(before + KEY.encode() + after).decode()
    masked = masking.mask_text(text)
    assert "…" in masked
    left = masked.partition("…")[0]
    decoded = base64.b64decode(left[: len(left) // 4 * 4].replace("-", "+").replace("_", "/"))
    assert KEY.encode()[:4] not in decoded
    assert len(masked) < len(text) - len(KEY) + 4


def test_json_is_masked_wherever_a_string_is() -> None:
    content = {"data": {"text/plain": f"'{KEY}'", "application/json": {KEY: [1, {"key": KEY}]}}, "n": 1.5}
    masked = masking.mask_json(json.dumps(content).encode())
    assert json.loads(bytes(masked)) == {
        "data": {"text/plain": f"'{SHOWN}'", "application/json": {SHOWN: [1, {"key": SHOWN}]}},
        "n": 1.5,
    }


def test_json_without_a_secret_is_the_same_object() -> None:
    content = json.dumps({"text": "dtn_0123"}).encode()
    assert masking.mask_json(content) is content
    view = memoryview(b"x" * 100 + content)[100:]
    assert masking.mask_json(view) is view


@pytest.mark.parametrize("broken", [b'{"text": "%s' % KEY.encode(), b"[" * 100_000 + KEY.encode()])
def test_broken_json_with_a_secret_shows_nothing(broken: bytes) -> None:
    known_secrets.add("dtn_plain_key_0000")
    assert masking.mask_json(broken.replace(KEY.encode(), b"dtn_plain_key_0000")) == b"{}"


def test_an_escape_in_front_of_a_secret_stays_whole() -> None:
    r"""In JSON, `\n` and `tn_…` look like `\` and a secret that starts with n."""
    known_secrets.add("ntn_0123456789")
    content = json.dumps({"text": "\ntn_0123456789"}).encode()
    assert json.loads(bytes(masking.mask_json(content))) == {"text": "\ntn_0123456789"}


def test_short_values_are_no_secrets() -> None:
    known_secrets.add("short", None)
    assert masking.mask_text("short") == "short"


async def _masked(pieces: list[bytes]) -> bytes:
    async def read() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return b"".join([piece async for piece in masking.mask_pieces(read())])


@settings(max_examples=settings().max_examples // 2)
@given(
    st.lists(st.sampled_from([KEY.encode(), b"d", b"dtn_", b"\n", "é→".encode(), b"text"])),
    st.integers(1, 40),
)
def test_a_file_in_pieces_is_masked_as_a_whole(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    masked = asyncio.run(_masked(pieces))
    assert masked == data.replace(KEY.encode(), SHOWN.encode())


def _shown_in_a_page(pieces: list[str]) -> list[str]:
    """Return what a page gets of a stream whose pieces come at once; the last entry at its end."""
    sent: list[str] = []
    held = ""
    for piece in pieces:
        masked, held = masking.mask_continued("".join(sent), held + piece)
        sent.append(masked)
    return [*sent, held]


@pytest.mark.parametrize("end", ["", "d", "dt", "dtn", KEY[-3:], "ZHR"])
def test_an_end_that_tells_nothing_is_not_held_back(end: str) -> None:
    assert masking.mask_continued("", f"text {end}") == (f"text {end}", "")


@pytest.mark.parametrize("end", [KEY[:4], KEY[:9], base64.b64encode(KEY.encode()).decode()[:7]])
def test_an_end_that_tells_something_is_held_back(end: str) -> None:
    assert masking.mask_continued("", f"text {end}") == ("text ", end)


@pytest.mark.parametrize("first", range(1, len(KEY)))
@pytest.mark.parametrize("second", [1, 2, 3, 4, 9])
def test_the_rest_of_a_secret_is_masked_wherever_its_pieces_end(first: int, second: int) -> None:
    """The page has at most the three characters that were not held back."""
    pieces = [f"a {KEY[:first]}", KEY[first : first + second], f"{KEY[first + second :]} b"]
    shown = "".join(_shown_in_a_page(pieces))
    assert shown in [f"a {KEY[:count]}{SHOWN} b" for count in range(masking.TELLING_LENGTH)]


def test_a_secret_in_single_characters_shows_its_first_three() -> None:
    assert "".join(_shown_in_a_page([*KEY, "!"])) == f"{KEY[:3]}{SHOWN}!"


def test_pieces_that_were_shown_late_end_where_the_secret_ends() -> None:
    """The first piece was held back, and released after its time."""
    masked, held = masking.mask_continued(f"a {KEY[:11]}", KEY[11:14])
    assert (masked, held) == ("", KEY[11:14])
    assert masking.mask_continued(f"a {KEY[:11]}", held + KEY[14:] + " b") == (f"{SHOWN} b", "")
