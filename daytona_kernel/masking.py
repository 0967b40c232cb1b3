"""The masking of known secrets in what a notebook shows and keeps.

A secret is found as it is, and in the forms in which people meet it: as `repr`, HTML, a URL and base64 have
it. Two texts that follow each other are masked together, since a program may print a secret in two pieces.
Masking is for accidents. Code that means to show a secret can always spell it in another way.
"""

from __future__ import annotations

import base64
import html
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from . import known_secrets
from .settings.resolution import value
from .wire.messages import Part, encode_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

_ELLIPSIS = "…".encode().decode("latin-1")

# In larger messages, base64 forms are not looked for: each costs a search of the whole message.
_LARGE = 1 << 20

# Shorter beginnings of a secret tell nothing, and one text in four ends like one.
TELLING_LENGTH = 4


@dataclass(frozen=True)
class _Forms:
    """The forms of all known secrets.

    shown: each form, the longest first, and what is shown in its place.
    all, plain: the forms as they are in JSON; `plain` has none in base64.
    prefixes: all beginnings of forms. longest: the length of the longest form.
    """

    shown: tuple[tuple[str, str], ...]
    all: tuple[bytes, ...]
    plain: tuple[bytes, ...]
    prefixes: frozenset[str]
    longest: int


def mask_text(text: str) -> str:
    """Return `text` with a mask in place of each form of a known secret."""
    for form, shown in _forms().shown:
        if form in text:
            text = text.replace(form, shown)
    return text


def mask_json(part: Part) -> Part:
    """Return JSON with all its strings masked; the same object if it has no secret."""
    if len(part) < known_secrets.SHORTEST:
        return part
    forms = _forms()
    # A large part is a view of its frame. A search of the whole frame is cheaper than a copy of the part.
    data = part.obj if isinstance(part, memoryview) and isinstance(part.obj, bytes) else bytes(part)
    needles = forms.all if len(data) < _LARGE else forms.plain
    if not any(needle in data for needle in needles):
        return part
    try:
        return encode_json(_mask_value(json.loads(bytes(part))))
    except (ValueError, RecursionError):
        return b"{}"  # nobody can read it


def mask_continued(before: str, text: str, shortest: int = TELLING_LENGTH) -> tuple[str, str]:
    """Mask a text that follows the text `before`, which is shown already.

    Returns the masked text in two parts. With the end of `before`, the second may be the beginning of a
    secret that later text ends. Such a beginning has at least `shortest` characters.
    """
    forms = _forms()
    if not forms.shown:
        return text, ""
    for form, shown in forms.shown:
        joined = before + text[: len(form)]
        start = joined.find(form, max(0, len(before) - len(form) + 1))
        if 0 <= start < len(before):
            text = shown + text[start + len(form) - len(before) :]
            break
    text = mask_text(text)
    end = (before[-forms.longest :] + text)[-forms.longest :]
    for start in range(len(end) - shortest + 1):
        if end[start:] in forms.prefixes:
            held = max(0, len(text) - len(end) + start)
            return text[:held], text[held:]
    return text, ""


async def mask_pieces(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Return the pieces of a file with all secrets in it masked."""
    held = ""
    async for piece in pieces:
        # The text may be in any encoding. A secret is ASCII, and so are its forms.
        masked, held = mask_continued("", held + piece.decode("latin-1"), shortest=1)
        if masked:
            yield masked.replace("…", _ELLIPSIS).encode("latin-1")
    if held:
        yield held.encode("latin-1")


def longest() -> int:
    """Return the length of the longest form of a secret; 0 if there is none."""
    return _forms().longest


def _mask_value(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, list):
        return [_mask_value(each) for each in value]
    if isinstance(value, dict):
        return {mask_text(key): _mask_value(each) for key, each in value.items()}
    return value


def _forms() -> _Forms:
    global _latest  # noqa: PLW0603  # a message has no time to look at the environment and at each secret
    secrets = known_secrets.known()
    if secrets is not _latest[0]:
        _latest = secrets, _forms_of(() if value("show_secrets") else secrets)
    return _latest[1]


def _forms_of(secrets: tuple[str, ...]) -> _Forms:
    plain: dict[str, str] = {}
    encoded: dict[str, str] = {}
    for secret in secrets:
        shown = known_secrets.mask(secret)
        for form in (
            secret,
            repr(secret)[1:-1],
            json.dumps(secret)[1:-1],
            html.escape(secret),
            quote(secret, safe=""),
        ):
            plain.setdefault(form, shown)
        for form in _base64_forms(secret.encode("utf-8", "surrogatepass")):
            encoded.setdefault(form, "…")
    both = {**encoded, **plain}
    return _Forms(
        tuple(sorted(both.items(), key=lambda item: len(item[0]), reverse=True)),
        tuple(map(_in_json, both)),
        tuple(map(_in_json, plain)),
        frozenset(form[:length] for form in both for length in range(1, len(form))),
        max(map(len, both), default=0),
    )


def _base64_forms(secret: bytes) -> set[str]:
    """Return the base64 of a secret without the characters that depend on the bytes around it."""
    forms = set()
    for before in range(3):
        data = bytes(before) + secret
        first, end = -(-8 * before // 6), 8 * len(data) // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(data).decode()[first:end])
    return {form for form in forms if len(form) >= known_secrets.MIN_LENGTH}


def _in_json(form: str) -> bytes:
    return encode_json(form)[1:-1]


_latest: tuple[tuple[str, ...], _Forms] = (), _forms_of(())
