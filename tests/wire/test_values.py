"""Values that cross between two machines that do not trust each other."""

import pickle

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.wire.values import ValueTransferError, decode_value, encode_value

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(plain | st.binary())
def test_a_value_comes_back_as_it_was(value: object) -> None:
    back = decode_value("x", *encode_value("x", value))
    assert back == value
    assert type(back) is type(value)


def test_tables_travel_as_arrow() -> None:
    frame = pd.DataFrame({"n": [1, 2], "t": ["a", None]}, index=["x", "y"])
    form, data = encode_value("frame", frame)
    assert form == "arrow-frame"
    pd.testing.assert_frame_equal(decode_value("frame", form, data), frame)
    table = pa.table({"n": [1, 2]})
    assert decode_value("table", *encode_value("table", table)) == table


@pytest.mark.parametrize("value", [object(), {1, 2}, {1: 2}, (1, 2), [object()], print, 1j])
def test_what_json_would_change_is_refused(value: object) -> None:
    with pytest.raises(ValueTransferError, match="no safe form"):
        encode_value("x", value)


def test_what_holds_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueTransferError):
        encode_value("x", endless)


@given(st.sampled_from(["json", "arrow-frame", "arrow-table", "pickle", ""]), st.binary())
def test_any_bytes_are_read_or_refused(form: str, data: bytes) -> None:
    try:
        decode_value("x", form, data)
    except ValueTransferError:
        pass


def test_a_pickle_is_never_loaded() -> None:
    for form in ("json", "arrow-frame", "arrow-table", "pickle"):
        with pytest.raises(ValueTransferError):
            decode_value("x", form, pickle.dumps({"a": 1}))
