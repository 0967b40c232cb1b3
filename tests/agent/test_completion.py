"""Completion with IPython's own completer, and with searches of Jedi that take as long as a test wants."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.completer import IPCompleter, provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from daytona_kernel.agent import completion
from daytona_kernel.agent.completion import TimelyCompletion

if TYPE_CHECKING:
    from collections.abc import Iterator


class Name:
    """A match of Jedi. examined: set when its type was asked for; known: lets that question end."""

    def __init__(self, text: str, typed: str) -> None:
        self.name_with_symbols = text
        self.complete = text.removeprefix(typed)
        self.examined, self.known = threading.Event(), threading.Event()

    @property
    def type(self) -> str:
        self.examined.set()
        assert self.known.wait(30)
        return "module"


class Jedi:
    """Searches that wait for the test. matches: what each finds."""

    def __init__(self) -> None:
        self.searches = 0
        self.ready = threading.Event()
        self.matches: list[Name] = []

    def find(self, *_args: Any, **_keywords: Any) -> Iterator[Name]:
        self.searches += 1
        assert self.ready.wait(30)
        return iter(self.matches)


class Completer:
    def __init__(self, namespace: dict[str, Any]) -> None:
        self.jedi = Jedi()
        shell = InteractiveShell(user_ns=namespace)
        self.own: Any = IPCompleter(shell=shell, namespace=shell.user_ns, use_jedi=True)
        self.own.__dict__["_jedi_matches"] = self.jedi.find
        self.timely = TimelyCompletion(self.own)

    def complete(self, code: str) -> list[str]:
        def do_complete(code: str, cursor: int) -> dict[str, Any]:
            with provisionalcompleter():
                found = list(self.own.completions(code, cursor))
            matches = [each.text for each in found]
            start = found[0].start if found else cursor
            return {"matches": matches, "cursor_start": start, "cursor_end": cursor, "metadata": {}}

        reply = self.timely.complete(code, len(code), do_complete)
        assert reply["cursor_end"] == len(code)
        assert all(each.startswith(code[reply["cursor_start"] :]) for each in reply["matches"])
        return list(reply["matches"])


@pytest.fixture
def completer() -> Iterator[Completer]:
    completer = Completer({"a_ship": 1})
    yield completer
    completer.jedi.ready.set()
    for each in completer.jedi.matches:
        each.known.set()


def test_live_objects_answer_when_jedi_is_late(completer: Completer) -> None:
    assert completer.complete("a_shi") == ["a_ship"]


def test_objects_that_the_code_names_answer_when_jedi_is_late(completer: Completer) -> None:
    assert completer.complete("import os; os.path.joi") == ["join"]
    assert completer.complete("def f():\n  s = 'abc'\n  s.uppe") == ["upper"]
    assert "os" not in completer.own.namespace


def test_python_modules_are_known_at_once(completer: Completer) -> None:
    assert completer.complete("import collectio") == ["collections"]
    assert completer.complete("x = 1; from collectio") == ["collections"]
    assert completer.complete("x = 1\nimport os, collectio") == ["collections"]


def test_jedi_gets_longer_if_nothing_else_knows_an_answer(
    completer: Completer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "_LONGEST_SECONDS", 30.0)
    completer.jedi.matches = [Name("no_such_name", "no_such_n")]
    completer.jedi.matches[0].known.set()
    # The first wait for Jedi ends before its answer comes.
    timer = threading.Timer(2 * completion._JEDI_SECONDS, completer.jedi.ready.set)
    timer.start()
    assert completer.complete("no_such_n") == ["no_such_name"]
    timer.join()
    assert completer.jedi.searches == 1


def test_an_answer_comes_in_time_although_nothing_knows_one(completer: Completer) -> None:
    assert completer.complete("no_such_n") == []
    assert completer.jedi.searches == 1


def test_a_new_question_ends_the_search_for_types_of_the_one_before(completer: Completer) -> None:
    names = [Name("first_name", "first_n"), Name("first_nation", "first_n")]
    completer.jedi.matches = names
    completer.jedi.ready.set()
    assert completer.complete("first_n") == ["first_name", "first_nation"]
    assert names[0].examined.wait(30)
    completer.jedi.matches = [Name("second_name", "second_n")]
    completer.jedi.matches[0].known.set()
    threading.Timer(0.05, names[0].known.set).start()
    assert completer.complete("second_n") == ["second_name"]
    assert not names[1].examined.is_set()
