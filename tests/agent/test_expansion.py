"""The user's variables in a magic's line: each piece is expanded alone, and the shell keeps its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.agent.expansion import expand

NAMES = {"i": 5, "word": "spam", "path": "/a b", "items": [1, 2], "name": "data"}


@pytest.mark.parametrize(
    ("line", "expanded"),
    [
        ("echo $word {word} {word!r:>8} {len(items)} {items[0] + 1}", "echo spam spam   'spam' 2 2"),
        ("echo \"$word\" '$word' '{word}' \"it's $word\"", "echo \"spam\" '$word' 'spam' \"it's spam\""),
        ("echo $name.csv $word.nothing", "echo data.csv spam.nothing"),
        ("echo $$word $$ ${word} \\$word $HOME", "echo $word $$ ${word} \\$word $HOME"),
        ("for i in 1 2; do echo $i {i}; done", "for i in 1 2; do echo $i 5; done"),
        ("i=3; echo $i", "i=3; echo $i"),
        ("while read -r i word; do echo $i $word; done", "while read -r i word; do echo $i $word; done"),
        ("echo $i", "echo 5"),
        ("awk '{print}' | awk '{print $1}'", "awk '{print}' | awk '{print $1}'"),
        ("touch {a,b} {1..3} {i,word}", "touch {a,b} {1..3} {i,word}"),
        ("curl -d '{\"a\":5}' {nowhere} {word}", "curl -d '{\"a\":5}' {nowhere} spam"),
        ("echo {{word}} {1/0}", "echo {{word}} {1/0}"),
        ("", ""),
    ],
)
def test_only_the_users_variables_and_expressions_are_expanded(line: str, expanded: str) -> None:
    assert expand(line, NAMES) == expanded


@given(st.text(alphabet="ab'\"\\${}!: "))
def test_without_variables_a_line_stays_as_it_is(line: str) -> None:
    assert expand(line, {}) == line


@given(st.text())
def test_any_line_is_expanded(line: str) -> None:
    assert isinstance(expand(line, NAMES), str)
