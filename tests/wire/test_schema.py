"""Dataclasses as JSON: they come back as they went, and anything else is refused with one error."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.wire.schema import (
    ProtocolError,
    by_type,
    decode_fields,
    decode_tagged,
    encode_fields,
    encode_tagged,
    parse_object,
)


@dataclass(frozen=True, slots=True)
class Inner:
    TYPE: ClassVar[str] = "inner"

    text: str


@dataclass(frozen=True, slots=True)
class Other:
    TYPE: ClassVar[str] = "other"


@dataclass(frozen=True, slots=True)
class Everything:
    TYPE: ClassVar[str] = "everything"

    text: str
    number: int
    flag: bool
    maybe: str | None
    choice: Literal["a", "b"]
    anything: Any
    words: tuple[str, ...]
    table: dict[str, int]
    one_of: Inner | Other
    many: tuple[Inner | Other, ...]
    mixed: Inner | int | None


WHOLE = Everything(
    "é\ud800", 1, True, None, "a", {"x": [1.5, None]}, ("x", "y"), {"n": 1}, Other(), (Inner("i"),), 7
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def over_the_wire(content: dict[str, Any]) -> dict[str, Any]:
    return parse_object(json.dumps(content))


@pytest.mark.parametrize("mixed", [None, 7, Inner("deep")])
def test_a_message_comes_back_as_it_went(mixed: Inner | int | None) -> None:
    message = Everything(**{f.name: getattr(WHOLE, f.name) for f in fields(WHOLE)} | {"mixed": mixed})
    assert decode_fields(Everything, over_the_wire(encode_fields(message))) == message
    assert decode_tagged(by_type(Everything), over_the_wire(encode_tagged(message))) == message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 1),
        ("text", None),
        ("number", True),
        ("number", 1.0),
        ("number", "1"),
        ("number", 1 << 63),
        ("flag", 0),
        ("maybe", 0),
        ("choice", "c"),
        ("choice", ["a"]),
        ("words", "xy"),
        ("words", [1]),
        ("words", {"x": 1}),
        ("table", []),
        ("table", {"n": "1"}),
        ("one_of", None),
        ("one_of", {"type": "inner"}),
        ("one_of", {"type": "inner", "text": "", "more": 1}),
        ("one_of", {"type": "third"}),
        ("one_of", {"type": ["inner"]}),
        ("one_of", {}),
        ("many", [[]]),
        ("mixed", "text"),
        ("mixed", {"type": "other"}),
    ],
)
def test_a_value_of_another_type_is_refused_by_the_name_of_its_field(field: str, value: object) -> None:
    content = over_the_wire(encode_fields(WHOLE)) | {field: value}
    with pytest.raises(ProtocolError, match=rf"everything\.{field}: \w"):
        decode_fields(Everything, content)


def test_a_missing_and_an_unknown_field_are_refused() -> None:
    content = over_the_wire(encode_fields(WHOLE))
    for field in content:
        with pytest.raises(ProtocolError, match=f"{field} is missing"):
            decode_fields(Everything, {key: value for key, value in content.items() if key != field})
    with pytest.raises(ProtocolError, match="unknown field"):
        decode_fields(Everything, content | {"more": 1})


@given(JSON)
def test_no_value_raises_another_error(value: object) -> None:
    for field in encode_fields(WHOLE):
        try:
            decode_fields(Everything, encode_fields(WHOLE) | {field: value})
        except ProtocolError:
            pass


@given(st.dictionaries(st.sampled_from(["type", "text", "number"]), JSON))
def test_no_object_raises_another_error(content: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        decode_tagged(by_type(Everything), content)


def test_an_error_never_quotes_the_value() -> None:
    with pytest.raises(ProtocolError) as error:
        decode_fields(Everything, encode_fields(WHOLE) | {"number": "the secret", "the key": 1})
    assert "the secret" not in str(error.value)
    assert "the key" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "null", '"x"', b"\xff\xff", "[" * 200_000, '{"a":' * 200_000, "1" * 5000]
)
def test_a_text_that_is_no_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(ProtocolError, match="JSON"):
        parse_object(text)
