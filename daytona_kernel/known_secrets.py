"""The secrets that this process knows, and their removal from texts.

Each part that learns a secret (a key, a token, a password in a URL) adds it here. The texts that leave the
client go through `redact`: messages of exceptions and log records. This module imports nothing, because the
first modules of a kernel import it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing takes milliseconds
if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable
    from typing import Any

# Shorter values are words of ordinary texts. No service gives out such keys.
MIN_LENGTH = 8
# A person says of a value that it is a secret. Shorter ones are in too many words and numbers.
SHORTEST = 4
_MASKABLE_LENGTH = 16

_known: tuple[str, ...] = ()
_given: frozenset[str] = frozenset()


def add(*values: str | None) -> None:
    """Add secrets. None and values with fewer than MIN_LENGTH characters are left out."""
    global _known  # noqa: PLW0603  # a process has one set; replacing the tuple needs no lock for readers
    new = {value for value in values if value and len(value) >= MIN_LENGTH}
    if not new.issubset(_known):
        # The longest first: one secret may contain another.
        _known = tuple(sorted(new.union(_known), key=len, reverse=True))


def add_given(value: str) -> bool:
    """Add a secret that a person has given; return whether it is long enough to be found in texts."""
    global _known, _given  # noqa: PLW0603  # as above
    if len(value) < SHORTEST:
        return False
    if value not in _known:
        _given |= {value}
        _known = tuple(sorted((*_known, value), key=len, reverse=True))
    return True


def is_own(value: str) -> bool:
    """Return whether a value is a secret of this program itself, and none that a person has given."""
    return value in _known and value not in _given


def known() -> tuple[str, ...]:
    """Return the secrets, the longest first. The tuple is another one after each new secret."""
    return _known


def mask(secret: str) -> str:
    """Return the end of a secret, for a person to recognize it; nothing of a short secret."""
    return f"…{secret[-4:]}" if len(secret) >= _MASKABLE_LENGTH else "…"


def passwords_in(url: str) -> list[str]:
    """Return the password in a URL, or else the user, who may be a token: quoted and unquoted."""
    from urllib.parse import unquote

    head, at, _ = url.rpartition("@")
    user, _, password = head.rpartition("://")[2].partition(":")
    return [password or user, unquote(password or user)] if at else []


def without_credentials(url: str) -> str:
    """Return a URL for a person to see, without user, password and query."""
    head, _, tail = url.rpartition("@")
    scheme, slashes, _ = head.partition("://")
    return (f"{scheme}://" if slashes else "") + tail.partition("?")[0]


def redact(text: str) -> str:
    """Return `text` with a mask in place of each known secret."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, mask(secret))
    return text


def redact_exception(error: BaseException) -> None:
    """Redact an exception in place: its arguments, notes and attributes, and those of its causes."""
    pending: list[BaseException] = [error]
    done: set[int] = set()
    while pending:
        current = pending.pop()
        if id(current) in done:
            continue
        done.add(id(current))
        current.args = _redacted(current.args, pending)
        if isinstance(current, UnicodeError) and hasattr(current, "object"):
            current.object = _redacted(current.object, pending)
        for name, value in list(vars(current).items()):
            redacted = _redacted(value, pending)
            if redacted is not value:
                setattr(current, name, redacted)
        pending += _linked(current)


def _linked(error: BaseException) -> Iterable[BaseException]:
    yield from (each for each in (error.__cause__, error.__context__) if each is not None)
    if isinstance(error, BaseExceptionGroup):
        yield from error.exceptions


def _redacted(value: Any, exceptions: list[BaseException]) -> Any:
    """Return `value` redacted; the same object if it has no secret. Exceptions in it go to `exceptions`."""
    redacted = value
    if isinstance(value, str):
        redacted = redact(value)
    elif isinstance(value, bytes):
        redacted = redact(value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    elif type(value) is list or type(value) is tuple:
        redacted = type(value)(_redacted(each, exceptions) for each in value)
    elif isinstance(value, BaseException):
        exceptions.append(value)
    return value if redacted == value else redacted


def redact_record(record: logging.LogRecord) -> bool:
    """Redact a log record in place and return True: a filter for `logging.Logger.addFilter`."""
    text = record.getMessage()
    redacted = redact(text)
    if redacted != text:
        record.msg, record.args = redacted, None
    if record.exc_info and record.exc_info[1] is not None:
        redact_exception(record.exc_info[1])
    return True
