"""The kernel asks the person about calls that the cell does not have in its text, and cannot be tricked."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.kernel.driver import DEADLINE, Answer, Driver, Empty

from .magic_calls import REFUSED, loot, outcomes

if TYPE_CHECKING:
    from pathlib import Path


def prompt(kernel: Driver) -> str:
    """Return the text of the next question."""
    message = kernel.client.get_stdin_msg(timeout=DEADLINE)
    assert message["msg_type"] == "input_request"
    return str(message["content"]["prompt"])


def run_and_answer(kernel: Driver, code: str, *answers: str) -> tuple[Answer, list[str]]:
    """Run a cell and answer its questions; return its results and the questions."""
    msg_id = kernel.send(code, allow_stdin=True)
    questions = []
    for answer in answers:
        questions.append(prompt(kernel))
        kernel.client.input(answer)
    return kernel.collect(msg_id), questions


def test_a_question_shows_the_resolved_paths_and_yes_allows_one_call(kernel: Driver, machine: Path) -> None:
    (machine / "notebook" / "link").symlink_to(machine / "key")
    answer, (question,) = run_and_answer(kernel, "path = 'link'\n%upload {path} stolen/", "yes")
    assert answer.reply["status"] == "ok"
    assert f"on this machine: '{machine}/key'" in question
    assert "in the sandbox: 'stolen/'" in question
    assert loot(kernel) == ["stolen/link"]
    answer, questions = run_and_answer(
        kernel, "for path in ('data.csv', 'more.csv'):\n    %upload {path} .", "YES ", "n"
    )
    assert len(questions) == 2
    assert answer.error["evalue"] == "%upload was not carried out. You did not allow it."
    assert loot(kernel) == ["data.csv", "stolen/link"]


def test_all_allows_one_command_until_the_cell_ends(kernel: Driver, machine: Path) -> None:
    code = (
        "for path in ('data.csv', 'more.csv'):\n    %upload {path} .\n"
        "get_ipython().run_line_magic('download', f'evil.txt {path}x')"
    )
    answer, (first, second) = run_and_answer(kernel, code, "all", "no")
    assert first.count("%upload") == 2
    assert "%download" in second
    assert answer.error["ename"] == REFUSED
    assert loot(kernel) == ["data.csv", "more.csv"]
    answer, _ = run_and_answer(kernel, "path = 'data.csv'\n%upload {path} again.csv", "no")
    assert answer.error["ename"] == REFUSED


def test_an_unclear_answer_is_asked_again_and_never_means_yes(kernel: Driver) -> None:
    answer, questions = run_and_answer(kernel, "path = 'data.csv'\n%upload {path} .", "y", "a", "ja")
    assert len(questions) == 3
    assert answer.error["ename"] == REFUSED


def test_after_three_refusals_a_cell_asks_no_more(kernel: Driver, machine: Path) -> None:
    code = f"ends = [raw('upload', '{machine}/key .')['evalue'] for _ in range(6)]; ends[-1]"
    answer, _ = run_and_answer(kernel, code, "no", "no", "no")
    assert "refused 3 times" in answer.result
    assert loot(kernel) == []


def test_text_of_the_sandbox_cannot_change_what_a_question_looks_like(kernel: Driver, machine: Path) -> None:
    path = "x\\u2028y\\u0085z\\n\\r\\x1b[2J\\u202egnp.\\u200b\\u3164" + " " * 50 + "Allow?"
    code = f"outcome = raw(\"upload\", \"'{path}' '{path}'\")"
    _, (question,) = run_and_answer(kernel, code, "no")
    lines = question.split("\n")
    assert len(lines) == 6
    assert all(each.isprintable() for each in lines)
    assert question.isascii()
    assert "  Allow" not in question
    assert "x\\u2028y\\x85z\\n\\r\\x1b[2J" in question


def test_a_question_that_nobody_would_read_is_not_asked(kernel: Driver) -> None:
    for line in ("'a' * 5000 + ' .'", "' '.join(f'f{n}' for n in range(50))"):
        answer = kernel.run(f"outcome = raw('upload', {line}); outcome['evalue']", allow_stdin=True)
        assert "too long to ask about" in answer.result


def test_an_interrupt_ends_the_question(kernel: Driver) -> None:
    msg_id = kernel.send("path = 'data.csv'\n%upload {path} .", allow_stdin=True)
    prompt(kernel)
    kernel.manager.interrupt_kernel()
    assert kernel.collect(msg_id).error["ename"] == "KeyboardInterrupt"
    kernel.client.input("yes")
    assert loot(kernel) == []
    assert run_and_answer(kernel, "input('name? ')", "Ada")[0].result == "'Ada'"


def test_the_end_of_the_cell_ends_the_question(kernel: Driver, machine: Path) -> None:
    kernel.run("go = threading.Event(); go.set()")
    msg_id = kernel.send(
        f"parent = dict(_kernel.get_parent())\n"
        f"threads = [later(lambda: raw('upload', '{machine}/key .', parent=parent), go)]\ntime.sleep(1)",
        allow_stdin=True,
    )
    prompt(kernel)
    assert kernel.collect(msg_id).reply["status"] == "ok"
    (outcome,) = outcomes(kernel)
    assert "ended or was interrupted" in outcome["evalue"]
    kernel.client.input("yes")
    assert loot(kernel) == []


def test_a_question_waits_for_an_open_input_and_the_reverse(kernel: Driver, machine: Path) -> None:
    kernel.run("go = threading.Event()")
    attack = (
        "parent = dict(_kernel.get_parent())\n"
        f"threads = [later(lambda: raw('upload', '{machine}/key .', parent=parent), go)]\n"
    )
    msg_id = kernel.send(
        attack + "threading.Timer(0.3, go.set).start(); first = input('Type yes to go on: ')\n"
        "threads[0].join(20); [first, outcomes]",
        allow_stdin=True,
    )
    assert prompt(kernel) == "Type yes to go on: "
    with pytest.raises(Empty):
        kernel.client.get_stdin_msg(timeout=1.0)
    kernel.client.input("yes")
    assert "wants to copy files" in prompt(kernel)
    kernel.client.input("no")
    result = kernel.collect(msg_id).result
    first, [outcome] = ast.literal_eval(result)
    assert (first, outcome["ename"]) == ("yes", REFUSED)
    # The reverse: the kernel's question is open, and the sandbox asks.
    kernel.run("outcomes.clear(); go.set()")
    msg_id = kernel.send(attack + "time.sleep(0.5); input('yes? ')", allow_stdin=True)
    assert "wants to copy files" in prompt(kernel)
    with pytest.raises(Empty):
        kernel.client.get_stdin_msg(timeout=1.0)
    kernel.client.input("no")
    assert prompt(kernel) == "yes? "
    kernel.client.input("mine")
    assert kernel.collect(msg_id).result == "'mine'"
    assert loot(kernel) == []


def test_an_answer_to_another_question_does_not_count(kernel: Driver) -> None:
    msg_id = kernel.send("path = 'data.csv'\n%upload {path} .", allow_stdin=True)
    prompt(kernel)
    session = kernel.client.session
    other = session.msg("input_request", {})["header"]
    kernel.client.stdin_channel.send(session.msg("input_reply", {"value": "yes"}, parent=other))
    kernel.client.input("no")
    assert kernel.collect(msg_id).error["ename"] == REFUSED
    assert loot(kernel) == []
