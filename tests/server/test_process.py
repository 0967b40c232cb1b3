"""`/process/execute` and `/process/code-run`: the answers and refusals of Daytona's toolbox."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.conftest import eventually, processes_with

if TYPE_CHECKING:
    from tests.server.conftest import Toolbox


def test_both_streams_are_merged_and_the_exit_code_is_reported(toolbox: Toolbox) -> None:
    assert toolbox.execute("echo out; echo err >&2; exit 3") == {"exitCode": 3, "result": "out\nerr\n"}


def test_the_command_is_the_shells_stdin(toolbox: Toolbox) -> None:
    assert toolbox.execute("cat\nnot a command") == {"exitCode": 0, "result": "not a command"}


@pytest.mark.parametrize(
    ("command", "exit_code"),
    [("kill -9 $$", -1), ("no_such_command_here", 127), ("true", 0), ("exit 255", 255)],
)
def test_exit_codes(toolbox: Toolbox, command: str, exit_code: int) -> None:
    assert toolbox.execute(command)["exitCode"] == exit_code


def test_a_missing_directory_is_an_answer_rather_than_an_error(toolbox: Toolbox) -> None:
    assert toolbox.execute("true", cwd="/no/such") == {
        "exitCode": -1,
        "result": "fork/exec /usr/bin/bash: no such file or directory",
    }


def test_cwd_and_environment(toolbox: Toolbox) -> None:
    assert toolbox.execute("pwd; echo $A", cwd="/tmp", envs={"A": "b c"})["result"] == "/tmp\nb c\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"command": ""}, "bad request"),
        ({}, "bad request: command is required"),
        ({"command": 3}, "bad request"),
        ({"command": "true", "timeout": -1}, "bad request"),
        ({"command": "true", "timeout": 1.5}, "bad request"),
        ({"command": "true", "envs": {"A-B": "c"}}, "bad request: invalid environment variable name: 'A-B'"),
        ([], "bad request"),
    ],
)
def test_a_wrong_command_is_a_bad_request(toolbox: Toolbox, body: Any, message: str) -> None:
    answer = toolbox.post("/process/execute", json=body)
    assert answer.status_code == 400
    error = answer.json()
    assert error["message"].startswith(message)
    assert error["code"] == "BAD_REQUEST"
    assert error["statusCode"] == 400
    assert (error["path"], error["method"]) == ("/process/execute", "POST")
    assert error["timestamp"].endswith("Z")


def test_a_body_that_is_not_json_is_a_bad_request(toolbox: Toolbox) -> None:
    answer = toolbox.post("/process/execute", content=b"{")
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(("which", "seconds"), [("toolbox", 4321), ("open_toolbox", 4322)])
def test_a_timeout_ends_the_whole_tree(which: str, seconds: int, request: pytest.FixtureRequest) -> None:
    """Without isolation a sandbox sees all processes, so each test sleeps for its own number of seconds."""
    toolbox: Toolbox = request.getfixturevalue(which)
    sleep = f"sleep {seconds}"
    command = f"(setsid {sleep} &); (setsid bash -c 'setsid {sleep} & wait' &) ; {sleep}"
    answer = toolbox.post("/process/execute", json={"command": command, "timeout": 1})
    assert answer.status_code == 408
    error = answer.json()
    assert error["message"] == "request timeout: command execution timeout"
    assert error["code"] == "REQUEST_TIMEOUT"
    assert toolbox.execute(f"pgrep -x sleep -a | grep {seconds}")["result"] == ""


def test_a_timeout_also_ends_processes_that_outlived_the_shell(toolbox: Toolbox) -> None:
    answer = toolbox.post(
        "/process/execute", json={"command": "(setsid sleep 1234.5 &) ; exit 0", "timeout": 1}
    )
    assert answer.status_code == 408
    # With Landlock, the processes of other tests are seen, too.
    assert toolbox.execute("pgrep -fx 'sleep 1234.5'")["exitCode"] == 1


def test_a_background_child_that_keeps_the_output_open_delays_the_answer(toolbox: Toolbox) -> None:
    assert toolbox.execute("(sleep 0.4; echo late) & echo now")["result"] == "now\nlate\n"


def test_a_background_child_without_the_output_continues(toolbox: Toolbox) -> None:
    toolbox.execute("sleep 9876 >/dev/null 2>&1 &")
    assert toolbox.execute("pkill -f 'sleep 9876'")["exitCode"] == 0


def test_a_client_that_leaves_does_not_stop_the_command(toolbox: Toolbox) -> None:
    with pytest.raises(Exception, match="timed out"):
        toolbox.post("/process/execute", json={"command": "sleep 0.5; touch left"}, timeout=0.1)
    eventually(lambda: toolbox.execute("cat left")["exitCode"] == 0, "the command has finished")


def test_invalid_bytes_and_large_output(toolbox: Toolbox) -> None:
    assert toolbox.execute(r"printf 'a\0\xffb'")["result"] == "a\0\ufffdb"
    assert len(toolbox.execute("head -c 3000000 /dev/zero | tr '\\0' x")["result"]) == 3_000_000


def test_many_at_once(toolbox: Toolbox) -> None:
    results: dict[int, str] = {}

    def one(number: int) -> None:
        results[number] = toolbox.execute(f"sleep 0.2; echo {number}")["result"]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: f"{number}\n" for number in range(40)}


def code_run(toolbox: Toolbox, code: str, **more: Any) -> dict[str, Any]:
    answer = toolbox.post("/process/code-run", json={"code": code, "language": "python", **more})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def test_code_runs_with_arguments_and_environment(toolbox: Toolbox) -> None:
    code = "import os, sys; print(sys.argv[1:], os.environ['A'])"
    answer = code_run(toolbox, code, argv=["a b", "c"], envs={"A": "d"})
    assert answer == {"exitCode": 0, "result": "['a b', 'c'] d\n"}


def test_an_exception_in_the_code_is_an_answer(toolbox: Toolbox) -> None:
    answer = code_run(toolbox, "1/0")
    assert answer["exitCode"] == 1
    assert "ZeroDivisionError" in answer["result"]


def test_javascript(toolbox: Toolbox) -> None:
    if toolbox.execute("node --version")["exitCode"]:
        pytest.skip("no node on this machine")
    assert code_run(toolbox, "console.log(6 * 7)", language="javascript")["result"] == "42\n"
    code = "console.log(process.argv.slice(1))"
    assert code_run(toolbox, code, language="javascript", argv=["a b"])["result"] == "[ 'a b' ]\n"


def test_another_language_is_refused(toolbox: Toolbox) -> None:
    answer = toolbox.post("/process/code-run", json={"code": "1", "language": "ruby"})
    assert answer.status_code == 400
    assert answer.json()["message"] == "bad request: unsupported language: ruby"


def test_artifact_lines_become_charts(toolbox: Toolbox) -> None:
    line = 'dtn_artifact_k39fd2:{"type":"chart","value":{"type":"line","png":"aGk="}}'
    answer = code_run(
        toolbox, f"print('before'); print('''{line}'''); print('dtn_artifact_k39fd2:no'); print('after')"
    )
    assert answer["result"] == "before\ndtn_artifact_k39fd2:no\nafter\n"
    assert answer["artifacts"] == {"charts": [{"type": "line", "png": "aGk="}]}


def test_a_code_runs_timeout(toolbox: Toolbox) -> None:
    answer = toolbox.post(
        "/process/code-run", json={"code": "import time; time.sleep(9)", "language": "python", "timeout": 1}
    )
    assert answer.status_code == 408


def test_a_finished_command_leaves_no_process(toolbox: Toolbox) -> None:
    toolbox.execute("A_MARK_OF_MINE=1 true", envs={"A_MARK": "a-mark-of-mine"})
    eventually(lambda: not processes_with("a-mark-of-mine"), "its processes have ended")
