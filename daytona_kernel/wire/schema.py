"""Frozen dataclasses as JSON objects, and back with every field checked.

A message is a frozen dataclass with a class variable `TYPE`, its name in JSON. Its fields may be `str`,
`int`, `bool`, `None`, `Any` (any JSON value), a `Literal`, `tuple[X, ...]` (an array), `dict[str, X]`
(an object), another message (an object with its `type`), or a union of these.

The other end is not trusted: a field that is missing, unknown or of another type raises ProtocolError.
The error names the field and never quotes the value, which may be a secret.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

# Other languages have no larger integers, and no field needs one.
_MAX_INTEGER = (1 << 63) - 1

_JSON_NAMES = {str: "a string", bool: "a boolean", int: "an integer", NoneType: "null", dict: "an object"}

T = TypeVar("T")
_Reader = Callable[[Any], Any]


class ProtocolError(ValueError):
    """The other end sent something that the protocol does not allow."""


class TypedMessage(Protocol):
    """A frozen dataclass that this module can encode."""

    TYPE: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


def encode_fields(message: TypedMessage) -> dict[str, Any]:
    """Return the fields of a message as JSON values."""
    return {name: _encode(getattr(message, name)) for name in _readers(type(message))}


def encode_tagged(message: TypedMessage) -> dict[str, Any]:
    """Return a message as one JSON object: its `type`, then its fields."""
    return {"type": message.TYPE, **encode_fields(message)}


def decode_fields(kind: type[T], content: Mapping[str, Any]) -> T:
    """Return the message of this class that has these fields. Raises ProtocolError."""
    name = kind.TYPE  # type: ignore[attr-defined]  # every class here has it; see TypedMessage
    readers: dict[str, _Reader] = _readers(kind)  # type: ignore[arg-type]  # a class is hashable
    if content.keys() != readers.keys():
        raise ProtocolError(f"{name}: {_difference(content.keys(), readers.keys())}")
    values = {}
    for field, read in readers.items():
        try:
            values[field] = read(content[field])
        except ProtocolError as error:
            raise ProtocolError(f"{name}.{field}: {error}") from None
    return kind(**values)


def decode_tagged(kinds: Mapping[str, type[T]], content: Mapping[str, Any]) -> T:
    """Return the message that a JSON object with a `type` is. kinds: see `by_type`. Raises ProtocolError."""
    name = content.get("type")
    if not isinstance(name, str) or name not in kinds:
        raise ProtocolError(f"the type must be one of: {', '.join(kinds)}")
    return decode_fields(kinds[name], {key: value for key, value in content.items() if key != "type"})


def by_type(union: Any) -> dict[str, Any]:
    """Return the classes of a union of messages, or of one class, by their `TYPE`."""
    return {each.TYPE: each for each in get_args(union) or (union,)}


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object that a text is. Raises ProtocolError."""
    try:
        value = json.loads(text)
    except ValueError:
        raise ProtocolError("this is not JSON") from None
    except RecursionError:
        raise ProtocolError("this JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ProtocolError("this JSON is not an object")
    return value


def _encode(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_encode(each) for each in value]
    return encode_tagged(value) if hasattr(value, "__dataclass_fields__") else value


@cache
def _readers(kind: Any) -> dict[str, _Reader]:
    """Return the function that reads each field of a message class."""
    hints = get_type_hints(kind)
    return {field.name: _reader(hints[field.name]) for field in fields(kind)}


def _reader(hint: Any) -> _Reader:
    """Return a function that checks and converts a JSON value of this type."""
    if hint is Any:
        return lambda value: value
    if (make := _READERS.get(get_origin(hint))) is not None:
        return make(get_args(hint))
    return _message_reader({hint.TYPE: hint}) if hasattr(hint, "TYPE") else _scalar_reader(hint)


def _scalar_reader(kind: type) -> _Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise ProtocolError(f"this must be {_JSON_NAMES[kind]}")
        if isinstance(value, int) and abs(value) > _MAX_INTEGER:
            raise ProtocolError("this integer is too large")
        return value

    return read


def _literal_reader(allowed: tuple[Any, ...]) -> _Reader:
    def read(value: Any) -> Any:
        if value not in allowed:
            raise ProtocolError(f"this must be one of: {', '.join(map(str, allowed))}")
        return value

    return read


def _array_reader(arguments: tuple[Any, ...]) -> _Reader:
    read_each = _reader(arguments[0])

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise ProtocolError("this must be an array")
        return tuple([read_each(each) for each in value])

    return read


def _object_reader(arguments: tuple[Any, ...]) -> _Reader:
    read_each = _reader(arguments[1])

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ProtocolError("this must be an object")
        return {key: read_each(each) for key, each in value.items()}

    return read


def _message_reader(kinds: dict[str, Any]) -> _Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ProtocolError("this must be an object with a type")
        return decode_tagged(kinds, value)

    return read


def _union_reader(members: tuple[Any, ...]) -> _Reader:
    """Read `null`, then a message by its type, then the first other member that fits."""
    kinds = {each.TYPE: each for each in members if hasattr(each, "TYPE")}
    others = [_reader(each) for each in members if each is not NoneType and not hasattr(each, "TYPE")]
    readers = [*([_message_reader(kinds)] if kinds else []), *others]

    def read(value: Any) -> Any:
        if value is None and NoneType in members:
            return None
        for each in readers[:-1]:
            try:
                return each(value)
            except ProtocolError:
                continue
        return readers[-1](value)

    return read


_READERS: dict[Any, Callable[[tuple[Any, ...]], _Reader]] = {
    Union: _union_reader,
    UnionType: _union_reader,
    Literal: _literal_reader,
    tuple: _array_reader,
    dict: _object_reader,
}


def _difference(found: Iterable[str], expected: Iterable[str]) -> str:
    missing = sorted(set(expected) - set(found))
    if missing:
        return (
            f"{', '.join(missing)} is missing" if len(missing) == 1 else f"{', '.join(missing)} are missing"
        )
    # A name that the other end made up is not quoted either.
    return "there is an unknown field"
