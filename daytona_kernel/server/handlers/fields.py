"""The checks of a request's content. Each check that fails raises `ApiError` 400."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from .. import failures, strict_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..failures import ApiError

T = TypeVar("T")
_REQUIRED = object()
_INTEGERS = range(-(1 << 31), 1 << 31)  # more digits would reach C code that fails on them
_MAX_PORT = 65535


def parse_object(
    data: bytes | str, invalid: Callable[[str], ApiError] = failures.bad_request
) -> dict[str, Any]:
    """Return a JSON object. If `data` is something else, raise the error that `invalid` returns."""
    try:
        value = strict_json.parse(data)
    except ValueError as error:
        raise invalid(str(error)) from None
    if not isinstance(value, dict):
        raise invalid("the body must be a JSON object")
    return value


def field(body: dict[str, Any], name: str, kind: type[T], default: Any = _REQUIRED) -> T | Any:
    """Return `body[name]`, or `default` if it is absent or null.

    Raises `ApiError` 400 if the value is not of type `kind`, or if there is neither value nor default.
    """
    value = body.get(name)
    if value is None:
        if default is _REQUIRED:
            raise failures.bad_request(f"{name} is required")
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise failures.bad_request(f"{name} must be of type {kind.__name__}")
    if isinstance(value, int) and value not in _INTEGERS:
        raise failures.bad_request(f"{name} is out of range")
    return value


def string_map(body: dict[str, Any], name: str) -> dict[str, str]:
    """Return the map of strings `body[name]`; if absent or null, an empty map."""
    value = field(body, name, dict, {})
    if not all(isinstance(part, str) for pair in value.items() for part in pair):
        raise failures.bad_request(f"{name} must map strings to strings")
    return dict(value)


def string_list(body: dict[str, Any], name: str, default: Any = _REQUIRED) -> list[str]:
    """Return the list of strings `body[name]`, or `default` if it is absent or null."""
    value = field(body, name, list, default)
    if not all(isinstance(each, str) for each in value):
        raise failures.bad_request(f"{name} must be a list of strings")
    return list(value)


def parse_integer(text: str, what: str, base: int = 10) -> int:
    """Return the integer that `text` holds. A refusal names `what`."""
    try:
        value = int(text, base)
    except ValueError:
        raise failures.bad_request(f"{what} must be an integer") from None
    if value not in _INTEGERS:
        raise failures.bad_request(f"{what} is out of range")
    return value


def parse_port(text: str) -> int:
    """Return the port that `text` holds."""
    port = parse_integer(text, "port")
    if not 1 <= port <= _MAX_PORT:
        raise failures.bad_request(f"port must be between 1 and {_MAX_PORT}")
    return port
