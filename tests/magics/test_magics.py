"""`%sh` and `%session` in a real kernel: right and wrong, in the foreground and in the background."""

from __future__ import annotations

import re

import pytest

from daytona_kernel.views import WIDGET_MIME_TYPE
from tests.kernel.driver import Driver, running_kernel, wait_until

from .conftest import assert_fails, failure


def test_sh_prints_between_the_cells_own_outputs(kernel: Driver) -> None:
    answer = kernel.run("print('before')\n%sh echo \"in  $((1 + 1))\" | cat; echo err >&2\nprint('after')")
    assert answer.stdout == "before\nin  2\nerr\nafter\n"


def test_sh_runs_in_the_notebooks_directory(kernel: Driver) -> None:
    answer = kernel.run(
        "import os; os.makedirs('/tmp/place', exist_ok=True); os.chdir('/tmp/place')\n%sh pwd"
    )
    assert answer.stdout == "/tmp/place\n"
    kernel.run("os.chdir(os.environ['HOME'])")
    assert kernel.run("%sh --cwd /tmp pwd").stdout == "/tmp\n"


def test_sh_takes_a_script_variables_and_the_environment(kernel: Driver) -> None:
    assert (
        kernel.run("%%sh --timeout 10 --env WHO=you\nfor i in 1 2; do\n  echo $i $WHO\ndone").stdout
        == "1 you\n2 you\n"
    )
    assert kernel.run("word = 'spam'\n%sh echo {word} $word").stdout == "spam spam\n"
    assert kernel.run("for n in range(2):\n    %sh echo {n}").stdout == "0\n1\n"


def test_a_failing_command_fails_the_cell_and_sets_its_status(kernel: Driver) -> None:
    answer = kernel.run("%sh echo out; exit 3")
    assert answer.stdout == "out\n"
    assert answer.error["ename"] == "CommandFailedError"
    assert answer.error["evalue"] == "The command ended with exit status 3."
    assert kernel.run("_exit_code").result == "3"
    assert kernel.run("%sh --no-raise false").reply["status"] == "ok"


@pytest.mark.parametrize(
    ("code", "ename", "words"),
    [
        ("%sh --nope ls", "MagicUsageError", "Unknown option --nope"),
        ("%sh", "MagicUsageError", "There is no command"),
        ("%sh --cwd /none ls", "CommandFailedError", "no directory '/none'"),
        ("%sh --timeout 1 sleep 20", "DaytonaProcessExecutionTimeoutError", "took longer than 1 s"),
        ("%session jump", "MagicUsageError", "has no 'jump'"),
        ("%session run none-such pwd", "DaytonaNotFoundError", "There is no session 'none-such'"),
        ("%session delete none-such", "DaytonaNotFoundError", "There is no session 'none-such'"),
        ("%session logs none-such x", "DaytonaNotFoundError", "There is no session 'none-such'"),
        ("%session delete", "MagicUsageError", "Name one session"),
        ("%session run daytona-kernel-x pwd", "MagicUsageError", "reserved for the kernel"),
    ],
)
def test_a_wrong_cell_gives_one_sentence_and_keeps_the_variables(
    kernel: Driver, code: str, ename: str, words: str
) -> None:
    assert_fails(kernel, code, ename, words)


def test_help_comes_from_the_declaration(kernel: Driver) -> None:
    text = kernel.run("%session --help").stdout
    for words in ("%session create", "--async", "%%session", "show the log as it grows"):
        assert words in text
    lines = kernel.run("%sandbox new --help").stdout.splitlines()[2:]
    columns = [re.match(r" +--[\w-]+(?: [A-Z:/=-]+)? +", line) for line in lines]
    assert len({match and match.end() for match in columns}) == 1


def test_a_session_keeps_its_state(kernel: Driver) -> None:
    assert kernel.run("%session create s1").stdout == "Created session s1.\n"
    assert failure(kernel, "%session create s1")[0] == "DaytonaConflictError"
    kernel.run("%session run s1 cd /tmp; export WHO=me")
    assert kernel.run("%session run s1 echo $(pwd) $WHO; echo no >&2").stdout == "/tmp me\n"
    assert failure(kernel, "%session run s1 false")[0] == "CommandFailedError"
    (table,) = kernel.run("%session list").contents("display_data")
    assert "s1" in table["data"]["text/plain"]
    assert "daytona-kernel-" not in table["data"]["text/plain"]
    assert "<table" in table["data"]["text/html"]
    assert kernel.run("%session delete s1").stdout == "Deleted session s1.\n"


def test_a_background_command_shows_its_log_while_cells_run(kernel: Driver) -> None:
    kernel.run("%session create s2")
    answer = kernel.run("cmd = %session run s2 --async for i in 1 2 3; do echo line $i; sleep 0.3; done")
    (shown,) = answer.contents("display_data")
    assert "application/vnd.jupyter.widget-view+json" in shown["data"]
    display_id = shown["transient"]["display_id"]
    assert [m["content"]["target_name"] for m in answer.messages if m["msg_type"] == "comm_open"]
    running = kernel.run("import time; time.sleep(2)")
    (final,) = [
        c for c in running.contents("update_display_data") if c["transient"]["display_id"] == display_id
    ][-1:]
    assert "application/vnd.jupyter.widget-view+json" not in final["data"]
    assert "line 3" in final["data"]["text/plain"]
    assert "exited 0" in final["data"]["text/plain"]
    assert kernel.run("%session logs s2 {cmd}").stdout.endswith("line 1\nline 2\nline 3\n")


def test_a_background_command_prints_how_to_see_its_log(kernel: Driver) -> None:
    kernel.run("%session create s5")
    answer = kernel.run("%session run s5 --async echo hello")
    prefix = "Its log: %session logs s5 "
    assert answer.stdout.startswith(prefix)
    assert answer.contents("execute_result") == []
    command_id = answer.stdout.removeprefix(prefix).strip()
    wait_until(lambda: "exited 0" in kernel.run(f"%session command s5 {command_id}").stdout)
    assert kernel.run(answer.stdout.removeprefix("Its log: ")).stdout == "hello\n"
    assert kernel.run("job = %session run s5 --async true\nprint(len(job))").stdout == f"{len(command_id)}\n"


def test_a_cell_that_says_that_a_command_has_ended_has_the_final_log(kernel: Driver) -> None:
    """A program that executes notebooks takes the log's update only while that cell runs."""
    kernel.run("%session create s6")
    shown = kernel.run("job = %session run s6 --async echo hello; sleep 0.5; exit 2")
    display_id = shown.contents("display_data")[0]["transient"]["display_id"]
    answers = [kernel.run("%session command s6 {job}")]
    while "exited 2" not in answers[-1].stdout:
        answers.append(kernel.run("%session command s6 {job}"))
    updates = [each for answer in answers for each in answer.contents("update_display_data")]
    texts = [each["data"]["text/plain"] for each in updates if each["transient"]["display_id"] == display_id]
    assert "exited 2" in texts[-1]
    assert texts[-1].endswith("hello")


def test_a_log_that_ends_between_two_cells_is_updated_under_the_next_cell(kernel: Driver) -> None:
    kernel.run("%session create s7")
    shown = kernel.run("job = %session run s7 --async read; echo hello")
    display_id = shown.contents("display_data")[0]["transient"]["display_id"]
    model_id = shown.contents("display_data")[0]["data"][WIDGET_MIME_TYPE]["model_id"]
    data = {"method": "custom", "content": {"type": "input", "text": "\n"}}
    kernel.send_message("comm_msg", {"comm_id": model_id, "data": data})
    while True:
        update = kernel.next_output("update_display_data")["content"]
        if "exited 0" in update["data"]["text/plain"]:
            break
    updates = kernel.run("import time; time.sleep(1)").contents("update_display_data")
    texts = [each["data"]["text/plain"] for each in updates if each["transient"]["display_id"] == display_id]
    assert len(texts) == 1
    assert "exited 0" in texts[0]
    assert kernel.run("time.sleep(0.5)").contents("update_display_data") == []


def test_a_background_command_takes_input_and_can_be_stopped(kernel: Driver) -> None:
    kernel.run("%session create s3")
    kernel.run("cmd = %session run s3 --async cat; sleep 100")
    kernel.run("%session input s3 {cmd} hello there")
    wait_until(lambda: "hello there" in kernel.run("%session logs s3 {cmd}").stdout)
    kernel.run("loop = %session run s3 --async true")
    assert kernel.run("%session stop s3 {cmd}").stdout == "Stopped the command.\n"
    wait_until(lambda: "stopped" in kernel.run("%session command s3 {cmd}").stdout)
    assert "stopped" in kernel.run("%session").contents("display_data")[0]["data"]["text/plain"]
    assert kernel.run("%session run s3 echo alive").stdout == "alive\n"
    assert "already ended" in kernel.run("%session stop s3 {loop}").stdout


def test_a_shell_loop_can_be_stopped(kernel: Driver) -> None:
    kernel.run("%session create s4")
    kernel.run("cmd = %session run s4 --async while true; do sleep 0.1; done")
    assert kernel.run("%session stop s4 {cmd}").stdout == "Stopped the command.\n"
    assert kernel.run("%session run s4 echo alive").stdout == "alive\n"
    assert "Deleted session s4" in kernel.run("%session delete --all").stdout


def test_the_agents_session_is_safe(kernel: Driver) -> None:
    kernel.run("%session delete --all")
    assert kernel.run("%session delete --all").stdout == "There are no sessions.\n"
    assert kernel.run("kept").reply["status"] == "ok"


def test_no_cell_overtakes_a_magic(kernel: Driver) -> None:
    for number in range(5):
        write = kernel.send(f"%sh echo {number} > /tmp/turn")
        read = kernel.send("open('/tmp/turn').read()")
        assert kernel.collect(write).reply["status"] == "ok"
        assert kernel.collect(read).result == f"'{number}\\n'"


def test_no_cell_overtakes_a_magic_while_there_is_no_interpreter() -> None:
    with running_kernel() as driver:
        cells = [driver.send(code) for code in ("%sh echo 1 > /tmp/turn", "open('/tmp/turn').read()")]
        assert [driver.collect(cell).reply["status"] for cell in cells] == ["ok", "ok"]


def test_magic_calls_from_several_threads_get_their_own_answers(kernel: Driver) -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
shell = get_ipython()
with ThreadPoolExecutor(8) as pool:
    answers = list(pool.map(lambda n: shell.find_line_magic("sh").assigned(f"echo {n}"), range(80)))
[answer.n for answer in answers] == [str(n) for n in range(80)]
"""
    assert kernel.run(code).result == "True"
