"""Commands, code and sessions in a real sandbox."""

from __future__ import annotations

import shutil
import time
from typing import Any

import pytest

from daytona_kernel import (
    CodeRunParams,
    DaytonaBadRequestError,
    DaytonaCommandAlreadyCompletedError,
    DaytonaConflictError,
    DaytonaNotFoundError,
    DaytonaProcessExecutionTimeoutError,
    DaytonaTimeoutError,
    ExecuteResponse,
    SessionCommandLogs,
    SessionExecuteRequest,
)
from tests.conftest import both_profiles

CHART = """
import matplotlib.pyplot as plt
plt.plot([1, 2, 3], [4, 5, 6])
plt.title("Three points")
plt.show()
print("drawn")
"""


def test_exec_answers_with_status_and_both_streams(sandbox: Any) -> None:
    response = sandbox.process.exec("echo out; echo err >&2; exit 3")
    assert response.exit_code == 3
    assert sorted(response.result.split()) == ["err", "out"]
    assert response.artifacts.stdout == response.result
    assert response.started


def test_exec_takes_directory_and_environment(sandbox: Any) -> None:
    sandbox.process.exec("mkdir -p 'a b'")
    response = sandbox.process.exec('pwd; echo "$NAME"', cwd="a b", env={"NAME": "x $HOME 'y'"})
    directory, name = response.result.splitlines()
    assert directory.endswith("/a b")
    assert name == "x $HOME 'y'"


def test_exec_says_when_the_command_could_not_start(sandbox: Any) -> None:
    response = sandbox.process.exec("ls", cwd="/no/such/directory")
    assert response.exit_code == -1
    assert not response.started


@both_profiles
def test_exec_timeout_ends_the_command(sandbox: Any) -> None:
    start = time.monotonic()
    with pytest.raises(DaytonaProcessExecutionTimeoutError, match="exceeded its timeout") as caught:
        sandbox.process.exec("sleep 30", timeout=1)
    assert isinstance(caught.value, DaytonaTimeoutError)
    assert caught.value.status_code == 408
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("timeout", [None, 0])
def test_exec_without_timeout_runs_to_its_end(sandbox: Any, timeout: int | None) -> None:
    assert sandbox.process.exec("sleep 0.3; echo end", timeout=timeout).result == "end\n"


@pytest.mark.parametrize("timeout", [0.5, -1])
def test_timeout_is_whole_seconds(sandbox: Any, timeout: float) -> None:
    with pytest.raises(DaytonaBadRequestError, match="whole number of seconds"):
        sandbox.process.exec("true", timeout=timeout)


def test_exec_waits_no_longer_than_request_timeout(sandbox: Any) -> None:
    with pytest.raises(DaytonaTimeoutError, match="may still be running there"):
        sandbox.process.exec("sleep 5; echo late > late", request_timeout=0.3)


def test_exec_refuses_an_empty_command_and_a_bad_name(sandbox: Any) -> None:
    with pytest.raises(DaytonaBadRequestError):
        sandbox.process.exec("")
    with pytest.raises(DaytonaBadRequestError, match="A-B"):
        sandbox.process.exec("true", env={"A-B": "1"})


def test_output_keeps_every_character(sandbox: Any) -> None:
    assert sandbox.process.exec(r"printf 'naïve 🎈\r\n\ttab'").result == "naïve 🎈\r\n\ttab"


def test_code_run_takes_arguments_and_environment(sandbox: Any) -> None:
    code = "import sys, os; print(sys.argv[1:], os.environ['NAME'])"
    response = sandbox.process.code_run(code, CodeRunParams(argv=["one", "two"], env={"NAME": "value"}))
    assert response.exit_code == 0
    assert response.result == "['one', 'two'] value\n"


def test_code_run_is_fresh_each_time_and_reports_failure(sandbox: Any) -> None:
    sandbox.process.code_run("x = 1")
    response = sandbox.process.code_run("print(x)")
    assert response.exit_code == 1
    assert "NameError" in response.result


def test_code_run_dedents_python_and_obeys_its_timeout(sandbox: Any) -> None:
    assert sandbox.process.code_run("\n    if True:\n        print('in')\n").result == "in\n"
    with pytest.raises(DaytonaTimeoutError):
        sandbox.process.code_run("import time; time.sleep(30)", timeout=1)


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on this machine")
def test_code_run_runs_another_language(sandbox: Any) -> None:
    response = sandbox.process.code_run("console.log([1, 2].map((x) => x * 2))", language="javascript")
    assert response.result == "[ 2, 4 ]\n"
    with pytest.raises(DaytonaBadRequestError, match="'ruby'"):
        sandbox.process.code_run("puts 1", language="ruby")


ARGUMENTS = ["a b", "$HOME", "it's", "", "plain"]


@both_profiles
def test_code_run_passes_each_argument_as_it_is(sandbox: Any) -> None:
    run = sandbox.process.code_run
    answer = run(
        "import os, sys; print(sys.argv[1:], os.environ['A'])", CodeRunParams(ARGUMENTS, {"A": "b c"})
    )
    assert (answer.exit_code, answer.result) == (0, f"{ARGUMENTS} b c\n")
    assert run("import sys; sys.exit(3)", CodeRunParams(["a b"])).exit_code == 3
    assert run("import sys; print(sys.argv[1:])", CodeRunParams(["plain"])).result == "['plain']\n"
    if shutil.which("node"):
        code = "console.log(process.argv.slice(1).join())"
        for arguments in (["plain", "two"], ["a b", "$HOME"]):
            answer = run(code, CodeRunParams(arguments), language="javascript")
            assert answer.result == ",".join(arguments) + "\n"


def test_code_run_gives_charts(sandbox: Any) -> None:
    response = sandbox.process.code_run(CHART)
    assert response.result == "drawn\n"
    (chart,) = response.artifacts.charts
    assert (chart.type, chart.title) == ("line", "Three points")
    assert chart.png_bytes.startswith(b"\x89PNG")
    assert chart.elements[0]["points"] == [[1, 4], [2, 5], [3, 6]]


def test_run_command_of_the_code_toolbox_runs_the_code(sandbox: Any) -> None:
    code = "import sys\nprint('quotes: \\' \" `', sys.argv[1])\nsys.exit(3)"
    command = sandbox.process.code_toolbox.get_run_command(code, CodeRunParams(argv=["it's"]))
    assert sandbox.process.exec(command).result == "quotes: ' \" ` it's\n"
    assert sandbox.process.exec(command).exit_code == 3


@both_profiles
def test_session_keeps_directory_and_variables(sandbox: Any) -> None:
    process = sandbox.process
    process.create_session("s")
    for command in ("cd /", "export NAME=value", "f() { echo f-$1; }"):
        assert process.execute_session_command("s", SessionExecuteRequest(command)).exit_code == 0
    response = process.execute_session_command("s", SessionExecuteRequest("pwd; echo $NAME; f x; echo e >&2"))
    assert (response.stdout, response.stderr) == ("/\nvalue\nf-x\n", "e\n")
    assert sorted(response.output.split()) == sorted(["/", "value", "f-x", "e"])
    assert response.result == response.output
    assert response.command_id == response.cmd_id
    session = process.get_session("s")
    assert [command.exit_code for command in session.commands if command.command == "cd /"] == [0]
    process.delete_session("s")
    with pytest.raises(DaytonaNotFoundError):
        process.get_session("s")


@both_profiles
@pytest.mark.parametrize("word", ["run_async", "var_async"])
def test_asynchronous_command_takes_input(sandbox: Any, word: str) -> None:
    process = sandbox.process
    process.create_session("s")
    request = SessionExecuteRequest("read name; echo hello $name", suppress_input_echo=True, **{word: True})
    response = process.execute_session_command("s", request)
    assert response.exit_code is None
    assert process.get_session_command("s", response.cmd_id).exit_code is None
    process.send_session_command_input("s", response.cmd_id, "you")
    follower = process.follow_session_command_logs("s", response.cmd_id)
    assert b"".join(chunk.data for chunk in follower) == b"hello you\n"
    assert follower.exit_code == 0
    assert process.get_session_command("s", response.cmd_id).exit_code == 0
    logs = process.get_session_command_logs("s", response.cmd_id)
    assert isinstance(logs, SessionCommandLogs)
    assert str(logs) == logs.output == logs.stdout == "hello you\n"
    with pytest.raises(DaytonaCommandAlreadyCompletedError):
        process.send_session_command_input("s", response.cmd_id, "more")


def test_session_errors_have_their_names(sandbox: Any) -> None:
    process = sandbox.process
    process.create_session("s")
    with pytest.raises(DaytonaConflictError):
        process.create_session("s")
    with pytest.raises(DaytonaNotFoundError):
        process.execute_session_command("other", SessionExecuteRequest("true"))
    with pytest.raises(DaytonaNotFoundError):
        process.get_session_command("s", "no-such-command")
    with pytest.raises(DaytonaNotFoundError):
        process.get_session_command_logs("s", "no-such-command")
    with pytest.raises(DaytonaBadRequestError):
        process.execute_session_command("s", SessionExecuteRequest(""))
    with pytest.raises(DaytonaNotFoundError):
        process.delete_session("other")


def test_session_names_are_one_segment_of_the_path(sandbox: Any) -> None:
    process = sandbox.process
    for name in ("a b", "a/b", "ü?x=1#y"):
        process.create_session(name)
        assert process.get_session(name).session_id == name
        process.delete_session(name)


@pytest.mark.anyio
async def test_code_run_hands_over_to_an_interpreter() -> None:
    from daytona_kernel import AsyncProcess, SandboxInstance
    from daytona_kernel.client.api import AsyncApi
    from daytona_kernel.client.run_commands import code_toolbox
    from daytona_kernel.client.transport import AsyncTransport

    class Interpreter:
        async def execute(self, code: str, *, on_message: Any = None, request: Any = None) -> ExecuteResponse:
            on_message((code, request))
            return ExecuteResponse(0, "done")

    messages: list[Any] = []
    api = AsyncApi("http://127.0.0.1:1", {}, AsyncTransport())
    process = AsyncProcess(code_toolbox(), api, SandboxInstance("i", "n", "started"))
    response = await process.code_run(
        "  indented", interpreter=Interpreter(), on_message=messages.append, request="request"
    )
    assert response.result == "done"
    assert messages == [("  indented", "request")]
