"""Values on the wire: each arrives exactly or is refused, and reading one runs no code."""

from __future__ import annotations

import base64
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.wire.values import (
    BytesValue,
    EncodedValue,
    JsonValue,
    TableValue,
    decode_value,
    encode_value,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON | st.binary())
def test_a_value_comes_as_it_went(value: Any) -> None:
    encoded = encode_value(value)
    assert decode_value(encoded) == value
    assert type(decode_value(encoded)) is type(value)


@pytest.mark.parametrize("value", [(1,), {1}, {1: 2}, 1j, object(), [object()], {"a": (1,)}, range(3)])
def test_what_json_would_change_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="safe form"):
        encode_value(value)


def test_depth_and_cycles_are_refused() -> None:
    cycle: list[Any] = []
    cycle.append({"a": cycle})
    with pytest.raises(ValueError, match="contains itself"):
        encode_value(cycle)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ValueError, match="too deep"):
        encode_value(deep)
    twice = [1]
    assert decode_value(encode_value([twice, twice])) == [[1], [1]]


@pytest.mark.parametrize(
    "encoded",
    [
        JsonValue("{"),
        JsonValue("[" * 200_000),
        BytesValue("no base64!"),
        TableValue(base64.b64encode(b"no table").decode(), False),
        TableValue(base64.b64encode(pickle.dumps(1)).decode(), True),
        TableValue("", False),
    ],
)
def test_nonsense_is_refused(encoded: EncodedValue) -> None:
    with pytest.raises(ValueError):
        decode_value(encoded)


def test_every_cut_of_a_table_is_refused_or_read() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    frame = pandas.DataFrame({"n": [1, 2, 3], "s": ["a", None, "ü"]})
    encoded = encode_value(frame)
    pandas.testing.assert_frame_equal(decode_value(encoded), frame)
    assert isinstance(encoded, TableValue)
    data = base64.b64decode(encoded.arrow)
    for end in range(0, len(data), 7):
        broken = TableValue(base64.b64encode(data[:end]).decode(), encoded.pandas)
        try:
            decode_value(broken)
        except ValueError:
            pass
