"""`%session` in a real kernel: live output, state that stays, interrupts that spare the shell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.conftest import both_profiles, on_daytona

from .conftest import failure

if TYPE_CHECKING:
    from tests.kernel.driver import Driver

# The pauses before an interrupt, from a command's first moment to its running state.
MILLISECONDS = (0, 1, 2, 4, 8, 14)


@pytest.fixture
def session(kernel: Driver) -> str:
    """A fresh session in /tmp."""
    kernel.run("%session delete --all")
    kernel.run("%session create work")
    kernel.run(
        "%session run work cd /tmp; export WHO=me; greet() { echo hi $WHO; }; sleep 944.9 >/dev/null 2>&1 &"
    )
    return "work"


def keeps_state(kernel: Driver, session: str) -> bool:
    """Return whether the session still has the fixture's directory, function and job."""
    answer = kernel.run(f"%session run {session} pwd; greet; jobs")
    return answer.stdout.startswith("/tmp\nhi me\n") and "Running" in answer.stdout and not answer.stderr


def test_output_appears_while_the_command_runs(kernel: Driver, session: str) -> None:
    # Only the interrupt ends this command, so its output has appeared before its end.
    answer, _ = kernel.interrupt_when_printed(f"%session run {session} echo out; sleep 944.1")
    assert answer.stdout == "out\n"
    assert answer.error["ename"] == "KeyboardInterrupt"


@both_profiles
def test_output_keeps_its_streams_and_is_joined(kernel: Driver, session: str) -> None:
    answer = kernel.run(
        f"%session run {session} echo out; sleep 0.3; printf err >&2; printf 'häl'; sleep 0.3; echo f"
    )
    assert (answer.stdout, answer.stderr.strip()) == ("out\nhälf\n", "err")
    assert keeps_state(kernel, session)


@both_profiles
@pytest.mark.parametrize(
    "command",
    [
        "sleep 944.1",
        "while :; do :; done",
        "while true; do sleep 0.2; done",
        "f() { while :; do sleep 0.1; done; }; f; sleep 944.2",
        "sleep 944.3 | cat; sleep 944.4",
        "x=$(sleep 944.5)",
        "seq 3 | while read n; do sleep 944.6; done",
        "bash -c 'trap \"\" INT TERM; while :; do sleep 0.1; done'",
        "cat < <(sleep 944.7)",
    ],
)
def test_an_interrupt_ends_the_command_and_keeps_the_session(
    kernel: Driver, session: str, command: str
) -> None:
    code = f"print('go', flush=True)\n%session run {session} {command}"
    answer, _ = kernel.interrupt_when_printed(code)
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert kernel.run("%sh pgrep -af 'sleep 944[.][1-8]'; true\n").stdout == ""
    assert keeps_state(kernel, session)


@both_profiles
def test_an_interrupt_ends_processes_that_start_meanwhile(kernel: Driver, session: str) -> None:
    """The shells ignore SIGINT. So SIGTERM ends them, a second after the interrupt."""
    shells = " | ".join(["(trap '' INT; while sleep 0.02; do sleep 944.8 & done)"] * 4)
    answer, _ = kernel.interrupt_when_printed(f"%session run {session} echo go; {shells}")
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert kernel.run("%sh pgrep -af 'sleep 944[.]8'; true\n").stdout == ""
    assert keeps_state(kernel, session)


@both_profiles
def test_an_interrupt_ends_jobs_that_outlive_one_signal(kernel: Driver, session: str) -> None:
    """Bash loses a signal that it gets just before it becomes another program. Here, a job drops one."""
    job = "bash -c 'trap \"trap - TERM\" TERM; while :; do sleep 0.1; done; : sleep 944.8' >/dev/null 2>&1 &"
    command = f"{job} (trap '' INT; echo go; while sleep 0.1; do :; done)"
    answer, _ = kernel.interrupt_when_printed(f"%session run {session} {command}")
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert kernel.run("%sh pgrep -af 'sleep 944[.]8'; true\n").stdout == ""
    assert keeps_state(kernel, session)


def test_an_interrupt_at_any_moment_ends_the_command_before_the_cell(kernel: Driver, session: str) -> None:
    for milliseconds in MILLISECONDS:
        code = f"print('go', flush=True)\n%session run {session} sleep 944.1"
        answer, _ = kernel.interrupt_when_printed(code, milliseconds / 1000)
        assert answer.error["ename"] == "KeyboardInterrupt"
        assert kernel.run("%sh pgrep -af 'sleep 944[.]1'; true\n").stdout == ""
    assert keeps_state(kernel, session)


def test_an_interrupt_during_the_creation_of_the_default_session_ends_the_cell(kernel: Driver) -> None:
    for milliseconds in MILLISECONDS:
        kernel.run("%session delete --all")
        code = "print('go', flush=True)\n%session run default sleep 944.1"
        answer, _ = kernel.interrupt_when_printed(code, milliseconds / 1000)
        assert answer.error["ename"] == "KeyboardInterrupt"
        assert kernel.run("%sh pgrep -af 'sleep 944[.]1'; true\n").stdout == ""


@both_profiles
def test_an_interrupt_cancels_a_queued_command(kernel: Driver, session: str) -> None:
    kernel.run(f"job = %session run {session} --async sleep 944.8")
    answer, _ = kernel.interrupt_when_printed(
        f"print('go', flush=True)\n%session run {session} touch /tmp/started"
    )
    assert answer.error["ename"] == "KeyboardInterrupt"
    kernel.run(f"%session stop {session} {{job}}")
    assert kernel.run(f"%session run {session} ls /tmp/started; greet").stdout == "hi me\n"


@both_profiles
def test_a_timeout_is_an_interrupt(kernel: Driver, session: str) -> None:
    ename, sentence = failure(kernel, f"%%session {session} --timeout 1\necho started\nsleep 944.8")
    assert ename == "DaytonaProcessExecutionTimeoutError"
    assert "keeps its state" in sentence
    assert keeps_state(kernel, session)


def test_commands_of_a_session_run_one_after_another(kernel: Driver, session: str) -> None:
    kernel.run(
        f"job = %session run {session} --async for n in 1 2 3; do sleep 0.3; echo $n; done > /tmp/order"
    )
    assert kernel.run(f"%session run {session} cat /tmp/order").stdout == "1\n2\n3\n"


@both_profiles
def test_a_command_has_no_input_and_its_own_status(kernel: Driver, session: str) -> None:
    assert kernel.run(f"%session run {session} cat; echo end").stdout == "end\n"
    assert failure(kernel, f"%session run {session} return 7")[1] == "The command ended with exit status 7."
    assert kernel.run("_exit_code").result == "7"
    answer = kernel.run(f"%session run {session} echo 'unclosed")
    assert "unexpected EOF" in answer.stderr
    assert keeps_state(kernel, session)


def test_an_assigned_result_is_the_lines_of_stdout(kernel: Driver, session: str) -> None:
    assert kernel.run(f"x = %session run {session} greet; echo no >&2\nx").result == "['hi me']"


@both_profiles
def test_the_list_shows_commands_states_and_durations(kernel: Driver, session: str) -> None:
    kernel.run(f"%%session {session}\nsleep 1\ntrue")
    kernel.run(f"job = %session run {session} --async sleep 944.9")
    table = kernel.run("%session list").contents("display_data")[0]["data"]["text/plain"]
    (row,) = [line for line in table.splitlines() if "sleep 1 …" in line]
    assert "exited 0" in row
    assert row.split()[-1] == "s"
    assert [line for line in table.splitlines() if "sleep 944.9" in line and "running" in line]
    assert "daytona-" not in table
    assert "exited 0 (" in kernel.run(f"%session command {session} {row.split()[3]}").stdout
    kernel.run(f"%session stop {session} {{job}}")


@both_profiles
def test_commands_are_listed_in_the_order_of_their_starts(kernel: Driver, session: str) -> None:
    kernel.run(f"for number in range(5):\n    %session run {session} : number {{number}}")
    for _ in range(3):
        table = kernel.run("%session list").contents("display_data")[0]["data"]["text/plain"]
        assert re.findall(r": number (\d)", table) == list("01234")


def test_the_default_session_needs_no_creation(kernel: Driver) -> None:
    kernel.run("%session delete --all")
    kernel.run("%session run default cd /usr")
    assert kernel.run("%%session\npwd").stdout == "/usr\n"
    assert "default" in kernel.run("%session info default").contents("display_data")[0]["data"]["text/plain"]


@on_daytona
@pytest.mark.parametrize("command", ["exit 4", "set -e; false", "sleep 1; exec true"])
def test_a_command_that_ends_its_shell_without_an_exit_code(
    kernel: Driver, session: str, command: str
) -> None:
    ename, sentence = failure(kernel, f"%session run {session} echo last; {command}")
    assert ename == "DaytonaSessionEndedError"
    assert sentence == (
        f"The command has ended the shell of session {session!r}, so it has no exit status; "
        f"run %session delete {session} and create it again."
    )


@on_daytona
def test_a_large_output_is_complete_and_comes_in_few_messages(kernel: Driver, session: str) -> None:
    answer = kernel.run(f"%session run {session} head -c 8000000 /dev/zero | tr '\\0' 'b' | fold -w 200")
    assert len(answer.stdout) == 8_000_000 + 40_000
    assert len(answer.contents("stream")) < 300  # Daytona sends 8,000 frames


@on_daytona
def test_a_background_job_that_holds_its_command_is_the_reason_to_wait(kernel: Driver, session: str) -> None:
    answer, _ = kernel.interrupt_when_printed(f"%session run {session} sleep 944.9 &")
    assert "so the cell and the session wait for the job" in answer.stderr
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert f"%session delete {session} ends it" in answer.stderr


@both_profiles
def test_a_session_whose_shell_ended_says_what_to_do(kernel: Driver, session: str) -> None:
    kernel.run(f"%session run {session} exit 3")
    ename, sentence = failure(kernel, f"%session run {session} pwd")
    assert ename == "DaytonaSessionEndedError"
    assert f"%session delete {session}" in sentence
