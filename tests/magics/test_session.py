"""`%session` in a real kernel: output as it comes, state that stays, interrupts that spare the shell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from .conftest import failure

if TYPE_CHECKING:
    from tests.kernel.driver import Driver


@pytest.fixture
def session(kernel: Driver) -> str:
    """A session of its own, in /tmp."""
    kernel.run("%session delete --all")
    kernel.run("%session create work")
    kernel.run("%session run work cd /tmp; export WHO=me; greet() { echo hi $WHO; }; sleep 44.9 &")
    return "work"


def in_state(kernel: Driver, session: str) -> bool:
    answer = kernel.run(f"%session run {session} pwd; greet; jobs")
    return answer.stdout.startswith("/tmp\nhi me\n") and "Running" in answer.stdout and not answer.stderr


def test_output_comes_while_the_command_runs(kernel: Driver, session: str) -> None:
    times: dict[str, float] = {}

    def on_message(message: dict[str, object]) -> None:
        if message["msg_type"] == "stream":
            times[message["content"]["text"]] = time.monotonic()  # type: ignore[index]

    code = (
        f"%session run {session} echo out; sleep 1; printf err >&2; sleep 1; printf 'häl'; sleep 0.3; echo f"
    )
    answer = kernel.run(code, on_message)
    assert (answer.stdout, answer.stderr.strip()) == ("out\nhälf\n", "err")
    assert max(times.values()) - times["out\n"] > 1
    assert in_state(kernel, session)


@pytest.mark.parametrize(
    "command",
    [
        "sleep 44.1",
        "while :; do :; done",
        "while true; do sleep 0.2; done",
        "f() { while :; do sleep 0.1; done; }; f; sleep 44.2",
        "sleep 44.3 | cat; sleep 44.4",
        "x=$(sleep 44.5)",
        "seq 3 | while read n; do sleep 44.6; done",
        "bash -c 'trap \"\" INT TERM; while :; do sleep 0.1; done'",
        "cat < <(sleep 44.7)",
    ],
)
def test_an_interrupt_ends_the_command_and_keeps_the_session(
    kernel: Driver, session: str, command: str
) -> None:
    code = f"print('go', flush=True)\n%session run {session} {command}"
    answer, seconds = kernel.interrupt_when_printed(code)
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert seconds < 15
    assert kernel.run("%sh pgrep -af 'sleep 44[.][1-8]'; true\n").stdout == ""
    assert in_state(kernel, session)


def test_an_interrupt_at_any_moment_has_ended_the_command_when_the_cell_is_over(
    kernel: Driver, session: str
) -> None:
    for milliseconds in range(15):
        code = f"print('go', flush=True)\n%session run {session} sleep 44.1"
        answer, _ = kernel.interrupt_when_printed(code, milliseconds / 1000)
        assert answer.error["ename"] == "KeyboardInterrupt"
        assert kernel.run("%sh pgrep -af 'sleep 44[.]1'; true\n").stdout == ""
    assert in_state(kernel, session)


def test_an_interrupt_while_the_default_session_is_made_ends_the_cell(kernel: Driver) -> None:
    for milliseconds in range(20):
        kernel.run("%session delete --all")
        code = "print('go', flush=True)\n%session run default sleep 44.1"
        answer, _ = kernel.interrupt_when_printed(code, milliseconds / 1000)
        assert answer.error["ename"] == "KeyboardInterrupt"
        assert kernel.run("%sh pgrep -af 'sleep 44[.]1'; true\n").stdout == ""


def test_a_command_that_waits_for_another_is_given_up(kernel: Driver, session: str) -> None:
    kernel.run(f"job = %session run {session} --async sleep 44.8")
    answer, _ = kernel.interrupt_when_printed(
        f"print('go', flush=True)\n%session run {session} touch /tmp/begun"
    )
    assert answer.error["ename"] == "KeyboardInterrupt"
    kernel.run(f"%session stop {session} {{job}}")
    assert kernel.run(f"%session run {session} ls /tmp/begun; greet").stdout == "hi me\n"


def test_a_timeout_is_an_interrupt(kernel: Driver, session: str) -> None:
    ename, sentence = failure(kernel, f"%%session {session} --timeout 1\necho begun\nsleep 44.8")
    assert ename == "DaytonaProcessExecutionTimeoutError"
    assert "keeps its state" in sentence
    assert in_state(kernel, session)


def test_a_command_waits_for_the_one_before_it(kernel: Driver, session: str) -> None:
    kernel.run(
        f"job = %session run {session} --async for n in 1 2 3; do sleep 0.3; echo $n; done > /tmp/order"
    )
    assert kernel.run(f"%session run {session} cat /tmp/order").stdout == "1\n2\n3\n"


def test_a_command_has_no_input_and_its_own_status(kernel: Driver, session: str) -> None:
    assert kernel.run(f"%session run {session} cat; echo end").stdout == "end\n"
    assert failure(kernel, f"%session run {session} return 7")[1] == "The command ended with exit status 7."
    assert kernel.run("_exit_code").result == "7"
    answer = kernel.run(f"%session run {session} echo 'unclosed")
    assert "unexpected EOF" in answer.stderr
    assert in_state(kernel, session)


def test_an_assigned_result_is_the_lines(kernel: Driver, session: str) -> None:
    assert kernel.run(f"x = %session run {session} greet; echo no >&2\nx").result == "['hi me']"


def test_the_list_tells_what_was_written_and_how_long_it_took(kernel: Driver, session: str) -> None:
    kernel.run(f"%%session {session}\nsleep 1\ntrue")
    kernel.run(f"job = %session run {session} --async sleep 44.9")
    table = kernel.run("%session list").contents("display_data")[0]["data"]["text/plain"]
    (row,) = [line for line in table.splitlines() if "sleep 1 …" in line]
    assert "exited 0" in row
    assert row.split()[-1] == "s"
    assert [line for line in table.splitlines() if "sleep 44.9" in line and "running" in line]
    assert "daytona-" not in table
    assert "exited 0 (" in kernel.run(f"%session command {session} {row.split()[3]}").stdout
    kernel.run(f"%session stop {session} {{job}}")


def test_the_default_session_needs_no_creation(kernel: Driver) -> None:
    kernel.run("%session delete --all")
    kernel.run("%session run default cd /usr")
    assert kernel.run("%%session\npwd").stdout == "/usr\n"
    assert "default" in kernel.run("%session info default").contents("display_data")[0]["data"]["text/plain"]


def test_a_session_whose_shell_ended_says_what_to_do(kernel: Driver, session: str) -> None:
    kernel.run(f"%session run {session} exit 3")
    ename, sentence = failure(kernel, f"%session run {session} pwd")
    assert ename == "DaytonaSessionEndedError"
    assert f"%session delete {session}" in sentence
