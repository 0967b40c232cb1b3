"""The parser of magic arguments: text for the shell stays as it was written."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daytona_kernel.errors import MagicUsageError
from daytona_kernel.magics.arguments import HelpRequested, parse_arguments, take_word
from daytona_kernel.magics.signature import Option, Positional, Signature

SH = Signature(
    options=(
        Option("cwd", "a directory", "DIR"),
        Option("timeout", "whole seconds", "S", int),
        Option("env", "NAME=VALUE", "K=V", repeated=True),
        Option("no-raise", "never fail"),
    ),
    rest="command",
)
RUN = Signature((Positional("name", "a name"),), (Option("async", "in the background"),), rest="command")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ls -la", {"command": "ls -la"}),
        ("--cwd /tmp ls", {"cwd": "/tmp", "command": "ls"}),
        (
            "--cwd='/a b' --timeout=5 ls | grep \"x  y\"",
            {"cwd": "/a b", "timeout": 5, "command": 'ls | grep "x  y"'},
        ),
        ("--env A=1 --env 'B=2 3' env", {"env": ["A=1", "B=2 3"], "command": "env"}),
        ("--no-raise false", {"no_raise": True, "command": "false"}),
        ("-- --version", {"command": "--version"}),
        ("echo --cwd /tmp", {"command": "echo --cwd /tmp"}),
        ("", {"command": ""}),
    ],
)
def test_options_come_first_and_the_rest_is_raw(text: str, values: dict[str, object]) -> None:
    empty: dict[str, object] = {"cwd": None, "timeout": None, "env": [], "no_raise": False}
    assert parse_arguments(text, SH) == {**empty, **values}


def test_options_come_before_or_after_positionals() -> None:
    for text in ("--async s1 sleep 1", "s1 --async sleep 1"):
        assert parse_arguments(text, RUN) == {"name": "s1", "async_": True, "command": "sleep 1"}


COPY = Signature(
    (Positional("sources", "files", repeated=True), Positional("target", "a place", optional=True)),
    (Option("force", "overwrite"),),
)


@pytest.mark.parametrize(
    ("text", "sources", "target", "force"),
    [
        ("a", ["a"], None, False),
        ("a b", ["a"], "b", False),
        ("a 'b c' --force d", ["a", "b c"], "d", True),
        ("--force a", ["a"], None, True),
        ("-- --force -b", ["--force"], "-b", False),
        ("a -- --force b", ["a", "--force"], "b", False),
    ],
)
def test_repeated_words_leave_the_last_one_to_the_next_positional(
    text: str, sources: list[str], target: str | None, force: bool
) -> None:
    assert parse_arguments(text, COPY) == {"sources": sources, "target": target, "force": force}


def test_usage_marks_repeated_words() -> None:
    assert COPY.usage == "SOURCES… [TARGET] [--force]"
    with pytest.raises(MagicUsageError, match="SOURCES is missing: files"):
        parse_arguments("--force", COPY)


@pytest.mark.parametrize(
    ("text", "signature", "sentence"),
    [
        ("--nope ls", SH, "Unknown option --nope; the options are: --cwd, --timeout, --env, --no-raise."),
        ("--timeout x ls", SH, "--timeout takes whole seconds, not 'x'."),
        ("--cwd", SH, "--cwd needs a value: DIR."),
        ("--no-raise=1 ls", SH, "--no-raise takes no value."),
        ("", RUN, "NAME is missing: a name."),
        ("a b", Signature((Positional("name", "a name"),)), "Too many arguments: 'b'."),
        ("-x ls", SH, "Too many arguments: '-x'."),
        ("'a", Signature((Positional("name", "a name"),)), "A quote is not closed: 'a"),
    ],
)
def test_wrong_arguments_give_one_sentence(text: str, signature: Signature, sentence: str) -> None:
    with pytest.raises(MagicUsageError) as raised:
        parse_arguments(text, signature)
    assert str(raised.value) == sentence


@given(st.text())
@example("--help")
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    try:
        values = parse_arguments(text, SH)
    except (MagicUsageError, HelpRequested):
        return
    assert text.rstrip().endswith(values["command"])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (r"C:\data\new.txt x", r"C:\data\new.txt"),
        (r"d:\ x", "d:\\"),
        (r"\\server\share\a x", r"\\server\share\a"),
        (r'"C:\my data\new" x', r"C:\my data\new"),
        (r"C:a\ b x", "C:a b"),
        (r"\\a\ b x", "\\a b"),
    ],
)
def test_paths_of_windows_keep_their_backslashes(text: str, word: str) -> None:
    assert take_word(text) == (word, " x")


@pytest.mark.parametrize(
    ("text", "word"), [("'a b' c", "a b"), (r"a\ b c", "a b"), ('"a \\"b\\"" c', 'a "b"'), ("a'b'c d", "abc")]
)
def test_quotes_work_as_in_a_shell(text: str, word: str) -> None:
    assert take_word(text)[0] == word
