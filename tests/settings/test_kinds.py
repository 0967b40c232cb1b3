"""The kinds of settings: what they make of texts and of JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.settings.kinds import (
    ADDRESSES,
    FLAG,
    PACKAGES,
    TEXT,
    VARIABLES,
    VOLUMES,
    Kind,
    choice,
    number,
)

CORES = number(1, "cores")
KINDS = [TEXT, FLAG, PACKAGES, VOLUMES, ADDRESSES, VARIABLES, CORES, choice("all", "safe")]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (TEXT, " python:3.13 ", "python:3.13"),
        (CORES, "8", 8),
        (number(-1, "minutes"), "-1", -1),
        (FLAG, "1", True),
        (FLAG, "No", False),
        (choice("all", "safe"), "SAFE", "safe"),
        (PACKAGES, "numpy 'pandas>=2, <3'", ["numpy", "pandas>=2, <3"]),
        (VOLUMES, "data:/data models:/mnt/models", ["data:/data", "models:/mnt/models"]),
        (ADDRESSES, "10.0.0.0/24, 192.168.0.0/16", ["10.0.0.0/24", "192.168.0.0/16"]),
        (VARIABLES, "A=1 B='two words' C=", {"A": "1", "B": "two words", "C": ""}),
    ],
)
def test_a_text_becomes_a_value_that_json_keeps(kind: Kind, text: str, value: Any) -> None:
    assert kind.from_text(text) == value
    assert kind.check(json.loads(json.dumps(value))) == value
    assert isinstance(kind.show(value), str)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (TEXT, "FROM\nRUN rm"),
        (TEXT, "a\0b"),
        (CORES, "0"),
        (CORES, "many"),
        (CORES, "1.5"),
        (FLAG, "perhaps"),
        (choice("all", "safe"), "saef"),
        (PACKAGES, "'open"),
        (PACKAGES, "--index-url http://example.test"),
        (VOLUMES, "data"),
        (VOLUMES, "data:relative"),
        (VARIABLES, "A"),
        (VARIABLES, "1A=2"),
        (VARIABLES, "Ä=2"),
    ],
)
def test_a_wrong_text_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError):  # a ValueError of any origin says that the text is wrong
        kind.from_text(text)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (TEXT, 3),
        (TEXT, ""),
        (TEXT, ["a"]),
        (CORES, True),
        (CORES, "8"),
        (CORES, 1.5),
        (FLAG, 1),
        (PACKAGES, "numpy"),
        (PACKAGES, [1]),
        (ADDRESSES, ["10.0.0.0/24,evil"]),
        (VARIABLES, {"A": 1}),
        (VARIABLES, {"A=B": "1"}),
        (VARIABLES, {"A": "\0"}),
    ],
)
def test_a_wrong_json_value_is_refused(kind: Kind, value: Any) -> None:
    with pytest.raises(ValueError):  # as above
        kind.check(value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(value=_JSON)
def test_any_json_is_a_value_or_refused(value: Any) -> None:
    """A refusal is one of the exceptions that `table.check` turns into a sentence."""
    for kind in KINDS:
        try:
            shown = kind.show(kind.check(value))
        except (ValueError, TypeError, AttributeError):
            continue
        assert isinstance(shown, str)
