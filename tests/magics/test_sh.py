"""`%sh` in a real kernel: its result, its environment and its end."""

from __future__ import annotations

from typing import Any

import psutil
import pytest

from tests.conftest import both_profiles
from tests.kernel.driver import Driver, processes_of, wait_until

from .conftest import failure


def processes(kernel: Driver, pattern: str) -> str:
    """Return the sandbox's processes whose command line matches. The pattern must not match itself."""
    return kernel.run(f"%sh pgrep -af '{pattern}'; true\n").stdout


def test_an_assigned_result_is_not_printed(kernel: Driver) -> None:
    answer = kernel.run("files = %sh echo a; echo b\nfiles.n, files.grep('a')")
    assert answer.stdout == ""
    assert answer.result == "('a\\nb', ['a'])"
    assert kernel.run("if True:\n    x = %sh echo nested\nx").result == "['nested']"
    assert kernel.run("def f(n):\n    x = %sh echo {n} $n\n    return x\nf(3)").result == "['3 3']"
    assert kernel.run("t = %time 1\ny = %sh echo 2\ny").result == "['2']"
    assert kernel.run("%sh echo shown").stdout == "shown\n"


def test_a_failed_command_raises_and_shows_its_output(kernel: Driver) -> None:
    kernel.run("x = 'before'")
    answer = kernel.run("x = %sh echo out; exit 3")
    assert answer.stdout == "out\n"
    assert answer.error["ename"] == "CommandFailedError"
    assert kernel.run("x, _exit_code").result == "('before', 3)"
    assert kernel.run("x = %sh --no-raise echo out; exit 3\nx").result == "['out']"
    kernel.run("try:\n    %sh false\nexcept Exception as error:\n    caught = type(error).__name__")
    assert kernel.run("caught").result == "'CommandFailedError'"


def test_cells_change_the_environment_of_commands(kernel: Driver) -> None:
    kernel.run("import os\nos.environ['MINE'] = 'a \"b\" $c'\n%env OTHER=1\ndel os.environ['LANG']")
    assert kernel.run('%sh echo "$MINE" ${OTHER} ${LANG-gone}').stdout == 'a "b" $c 1 gone\n'
    assert kernel.run("%sh --env OTHER=2 echo ${OTHER}").stdout == "2\n"
    assert kernel.run('%sh --live echo "$MINE" ${OTHER} ${LANG-gone}').stdout == 'a "b" $c 1 gone\n'
    kernel.run("del os.environ['MINE']; os.environ['BYTES'] = b'\\xff'.decode(errors='surrogateescape')")
    assert kernel.run("%sh echo ${MINE-gone}").stdout == "gone\n"


def test_a_relative_directory_starts_at_the_notebooks(kernel: Driver) -> None:
    kernel.run("import os; os.makedirs('/tmp/base/below'); os.chdir('/tmp/base')")
    assert kernel.run("%sh --cwd below pwd").stdout == "/tmp/base/below\n"
    assert kernel.run("%sh --live --cwd below pwd").stdout == "/tmp/base/below\n"
    kernel.run("os.chdir(os.environ['HOME'])")


def test_a_deleted_directory_is_an_error_and_no_other_directory_is_used(kernel: Driver) -> None:
    kernel.run(
        "import os, tempfile\nhome, gone = os.getcwd(), tempfile.mkdtemp()\n%cd {gone}\nos.rmdir(gone)"
    )
    try:
        for cell in ("%sh touch here", "%sh --cwd below pwd", "%download nothing"):
            error = kernel.run(cell).error
            assert error["ename"] == "MagicUsageError"
            assert "current directory has been deleted" in error["evalue"]
        assert kernel.run("%sh --cwd /tmp pwd").stdout == "/tmp\n"
        assert kernel.run("%sh --cwd ~ pwd").stdout == kernel.run("%sh --cwd /tmp echo ~").stdout
    finally:
        kernel.run("os.chdir(home)")
    assert kernel.run("%sh ls here").reply["status"] == "error"


def test_line_numbers_in_errors_are_those_of_the_script(kernel: Driver) -> None:
    assert "line 2: nonesuch" in kernel.run("%%sh --no-raise\ntrue\nnonesuch").stdout


def test_an_interrupt_ends_the_whole_tree(kernel: Driver) -> None:
    for code in ("%sh (sleep 944.1 & sleep 944.2); sleep 944.3", "%sh --live sleep 944.4; sleep 944.5"):
        answer, _ = kernel.interrupt_when_printed(f"print('go', flush=True)\n{code}")
        assert answer.error["ename"] == "KeyboardInterrupt"
        wait_until(lambda: processes(kernel, "sleep 944[.][1-8]") == "")


def test_an_interrupted_command_that_ignores_signals_is_killed(kernel: Driver) -> None:
    cell = kernel.send("%sh trap '' INT TERM; while true; do sleep 0.2; done")
    wait_until(lambda: bool(shells_that_sleep(kernel)), 20)
    kernel.manager.interrupt_kernel()
    answer = kernel.collect(cell)
    assert answer.error["ename"] == "KeyboardInterrupt"
    wait_until(lambda: not shells_that_sleep(kernel), 20, f"it lives; the cell said: {answer.stderr!r}")


def shells_that_sleep(kernel: Driver) -> list[psutil.Process]:
    """Return the shells of the sandbox that wait for a `sleep`."""
    found = []
    for process in processes_of(kernel):
        try:
            if process.name() == "bash" and any(child.name() == "sleep" for child in process.children()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_long_command_shows_its_time_and_clears_it(kernel: Driver) -> None:
    answer = kernel.run("print('before')\n%sh sleep 2.2; echo done")
    (shown,) = answer.contents("display_data")
    updates = answer.contents("update_display_data")
    assert "Running for 1 s" in shown["data"]["text/plain"]
    assert updates[-1]["data"] == {"text/plain": ""}
    assert answer.stdout == "before\ndone\n"
    assert kernel.run("%sh echo quick").contents("display_data") == []


def test_a_background_job_that_holds_the_output_is_named_and_ends_with_the_cell(kernel: Driver) -> None:
    cell = kernel.send("%sh sleep 945.1 & echo started")
    seen: list[str] = []

    def interrupt_when_named(message: dict[str, Any]) -> None:
        if "data" in message["content"]:
            seen.append(message["content"]["data"].get("text/plain", ""))
            if "one of its background jobs keeps the output open" in seen[-1] and "%session run" in seen[-1]:
                kernel.manager.interrupt_kernel()

    answer = kernel.collect(cell, interrupt_when_named)
    assert answer.error["ename"] == "KeyboardInterrupt", seen
    wait_until(lambda: processes(kernel, "sleep 945[.][1]") == "")


@both_profiles
@pytest.mark.parametrize("rest", ["sleep 944.7", "setsid sleep 944.7 & wait"])
def test_a_timeout_and_an_interrupt_keep_the_output_so_far(kernel: Driver, rest: str) -> None:
    answer = kernel.run(f"%sh --timeout 1 echo partial; {rest}")
    assert answer.stdout == "partial\n"
    assert answer.error["evalue"] == "The command took longer than 1 s and was ended."
    answer, _ = kernel.interrupt_when_printed(f"print('go', flush=True)\n%sh echo partial; {rest}", pause=0.5)
    assert answer.stdout == "go\npartial\n"
    assert answer.error["ename"] == "KeyboardInterrupt"
    wait_until(lambda: processes(kernel, "sleep 944[.]7") == "")


def test_the_timeout_ends_a_background_job_that_holds_the_output(kernel: Driver) -> None:
    answer = kernel.run("%sh --timeout 1 sleep 945.2 & echo started")
    assert answer.error["ename"] == "DaytonaProcessExecutionTimeoutError"
    wait_until(lambda: processes(kernel, "sleep 945[.][2]") == "")


def test_a_background_job_with_its_output_elsewhere_outlives_the_cell(kernel: Driver) -> None:
    assert kernel.run("%sh sleep 945.3 > /tmp/log 2>&1 & echo started").stdout == "started\n"
    assert "sleep 945.3" in processes(kernel, "sleep 945[.][3]")
    kernel.run("%sh pkill -f 'sleep 945[.]3'")


def test_live_shows_output_while_the_command_runs(kernel: Driver) -> None:
    # Only the interrupt ends this command, so its output has appeared before its end.
    answer, _ = kernel.interrupt_when_printed("%sh --live echo one; sleep 944.7")
    assert answer.stdout == "one\n"
    assert answer.error["ename"] == "KeyboardInterrupt"


def test_live_keeps_the_streams_apart(kernel: Driver) -> None:
    answer = kernel.run("%sh --live echo one; echo two >&2; exit 4")
    assert answer.error["evalue"] == "The command ended with exit status 4."
    assert (answer.stdout, answer.stderr) == ("one\n", "two\n")
    assert "live" not in kernel.run("%session list").contents("display_data")[0]["data"]["text/plain"]


def test_live_stops_at_its_timeout_and_has_no_input(kernel: Driver) -> None:
    ename, sentence = failure(kernel, "%sh --live --timeout 1 echo started; sleep 944.6")
    assert ename == "DaytonaProcessExecutionTimeoutError"
    assert "longer than 1 s" in sentence
    wait_until(lambda: processes(kernel, "sleep 944[.]6") == "")
    assert kernel.run("%sh --live cat; echo end").stdout == "end\n"


def test_an_interrupt_at_any_moment_leaves_nothing_of_live(kernel: Driver) -> None:
    before = kernel.run("%sh ls -A /tmp | wc -l").stdout  # it also counts the file of this command
    for pause in (0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2):
        code = "print('go', flush=True)\n%sh --live sleep 944.8"
        assert kernel.interrupt_when_printed(code, pause)[0].error["ename"] == "KeyboardInterrupt"
    wait_until(lambda: not shells_that_sleep(kernel), 20, "a shell lives")
    # The script of the last command removes its file a moment after the shell has ended.
    wait_until(lambda: kernel.run("%sh ls -A /tmp | wc -l").stdout == before, 20, "a file stays")


def test_the_inspector_shows_the_help(kernel: Driver) -> None:
    (page,) = kernel.run("%sh?").reply["payload"]
    assert "Interrupting the cell" in page["data"]["text/plain"]
    inspected = kernel.request("inspect_request", {"code": "%sh", "cursor_pos": 3, "detail_level": 0})
    assert "--no-raise" in inspected["data"]["text/plain"]
    assert "%%sh" in kernel.run("%lsmagic").result


@pytest.mark.parametrize(
    ("code", "stdout"),
    [
        ("i = 9\n%sh for i in 1 2; do echo $i; done", "1\n2\n"),
        ("w = 'a b'\n%sh printf '%s|' $w {w!r} '$w'", "a|b|a b|$w|"),
        ("for n in range(2):\n    %sh echo {n + 1}", "1\n2\n"),
        ("%%capture said\n%sh echo hidden", ""),
        ("print(said.stdout, end='')", "hidden\n"),
    ],
)
def test_a_line_may_contain_python_variables(kernel: Driver, code: str, stdout: str) -> None:
    assert kernel.run(code).stdout == stdout
