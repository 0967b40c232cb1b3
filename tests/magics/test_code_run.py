"""`%%code_run` in a real kernel: runtimes of their own, beside the interpreter."""

from __future__ import annotations

import shutil
import textwrap

import pytest

from tests.kernel.driver import Driver

from .conftest import failure


def test_it_runs_in_a_runtime_of_its_own(kernel: Driver) -> None:
    kernel.run("mine = 1")
    code = "import os, sys; print(sys.argv[1:], os.environ['WHO'])"
    options = "--argv a --argv 'b c' --env WHO=you"
    assert kernel.run(f"%%code_run {options}\n{code}").stdout == "['a', 'b c'] you\n"
    answer = kernel.run("%%code_run\nprint('out'); mine")
    assert "NameError" in answer.stdout
    assert answer.error["ename"] == "CommandFailedError"
    assert kernel.run("_exit_code, mine").result == "(1, 1)"
    assert kernel.run("%%code_run --no-raise\nraise SystemExit(3)").reply["status"] == "ok"


def test_its_figures_are_shown(kernel: Driver) -> None:
    code = """
        %%code_run
        import matplotlib.pyplot as plt
        plt.plot([1, 2, 3])
        plt.title("a line")
        plt.show()
    """
    answer = kernel.run(textwrap.dedent(code).lstrip())
    (figure,) = [each for each in answer.contents("display_data") if "image/png" in each["data"]]
    assert figure["data"]["image/png"].startswith("iVBOR")
    assert "a line" in figure["data"]["text/plain"]
    assert "dtn_artifact" not in answer.stdout


def test_another_language_runs_or_says_that_it_cannot(kernel: Driver) -> None:
    answer = kernel.run("%%code_run --language javascript\nconsole.log([1, 2].map(n => n * 2))")
    missing = kernel.run("%%code_run --language javascript --no-raise --env PATH=/nowhere\n1")
    assert missing.reply["status"] == "ok"
    if shutil.which("node"):
        assert answer.stdout == "[ 2, 4 ]\n"
    else:
        assert answer.error["evalue"] == "The sandbox has nothing that runs javascript; nothing was run."


def test_an_interrupt_ends_the_program(kernel: Driver) -> None:
    sleeps = ("import time; time.sleep(45.1)", "import os; os.system('setsid sleep 45.2 & sleep 45.3')")
    for code in sleeps:
        msg_id = kernel.send(f"%%code_run\n{code}")
        while "Running" not in str(kernel.next_output("display_data")):
            pass
        kernel.manager.interrupt_kernel()
        assert kernel.collect(msg_id).error["ename"] == "KeyboardInterrupt"
        assert kernel.run("%sh pgrep -af 'sleep 45|python3 -u [-]'; true\n").stdout == ""


@pytest.mark.parametrize(
    ("code", "ename", "words"),
    [
        (
            "%%code_run --language ruby\nputs 1",
            "MagicUsageError",
            "python, javascript or typescript, not 'ruby'",
        ),
        ("%%code_run\n\n", "MagicUsageError", "no code to run"),
        ("%code_run 1", "MagicUsageError", "begin the cell with it"),
        (
            "%%code_run --timeout 1\nimport time; time.sleep(20)",
            "DaytonaProcessExecutionTimeoutError",
            "timeout",
        ),
        ("%%code_run --env NAME\n1", "MagicUsageError", "--env takes NAME=VALUE"),
        ("%%code_run here\n1", "MagicUsageError", "Too many arguments: 'here'"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_lost(
    kernel: Driver, code: str, ename: str, words: str
) -> None:
    name, sentence = failure(kernel, code)
    assert name == ename
    assert words in sentence
