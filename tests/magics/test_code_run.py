"""`%%code_run` in a real sandbox: a fresh process in each language."""

from __future__ import annotations

import base64
import shutil

import psutil
import pytest

from tests.conftest import both_profiles
from tests.kernel.driver import Driver, running_kernel, wait_until

from .conftest import assert_fails

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def test_code_runs_in_a_fresh_process(kernel: Driver) -> None:
    kernel.run("x = 41")
    answer = kernel.run("%%code_run\nx = 1\nprint(x + 1, __name__)")
    assert answer.stdout == "2 __main__\n"
    assert kernel.run("x").result == "41"
    assert kernel.run("_exit_code").result == "0"


@both_profiles
def test_code_gets_arguments_and_environment(kernel: Driver) -> None:
    answer = kernel.run(
        "%%code_run --argv 'one \"two words\"' --env WHO=you --env 'B=c d' --timeout 60\n"
        "import os, sys\nprint(sys.argv[1:], os.environ['WHO'], os.environ['B'])"
    )
    assert answer.stdout == "['one', 'two words'] you c d\n"


def test_output_can_be_captured(kernel: Driver) -> None:
    assert kernel.run("%%capture kept\n%%code_run\nprint('in')").stdout == ""
    assert kernel.run("kept.stdout").result == r"'in\n'"


@needs_node
def test_javascript_runs(kernel: Driver) -> None:
    answer = kernel.run("%%code_run --language javascript\nconsole.log([1, 2].map(n => n * 2).join())")
    assert answer.stdout == "2,4\n"


@needs_node
def test_typescript_runs(kernel: Driver) -> None:
    if kernel.run("reached = %sh --no-raise getent hosts registry.npmjs.org\n_exit_code").result != "0":
        pytest.skip("sandboxes do not reach npm's registry here")
    code = "const words: string[] = process.argv.slice(1);\nconsole.log(words.join())"
    assert kernel.run(f"%%code_run --language typescript --argv \"a 'b c'\"\n{code}").stdout == "a,b c\n"


def test_a_missing_language_is_reported() -> None:
    # Without isolation, the sandbox has this PATH too. Without Python there is no interpreter, so the kernel
    # itself runs the magic.
    with running_kernel(PATH="/nowhere", DAYTONA_KERNEL_ISOLATION="none") as kernel:
        for language, program in (("javascript", "node"), ("typescript", "npx")):
            error = kernel.run(f"%%code_run --language {language}\n1").error
            assert error["ename"] == "CommandFailedError"
            assert (
                error["evalue"]
                == f"The sandbox has no {program}, which runs {language}; the code was not run."
            )


def test_figures_are_shown(kernel: Driver) -> None:
    answer = kernel.run(
        "%%code_run\nimport matplotlib.pyplot as plt\nprint('before')\n"
        "plt.plot([1, 2]); plt.title('Growth'); plt.show()\n"
        "plt.figure(); plt.bar(['a'], [1]); plt.show()"
    )
    assert answer.stdout == "before\n"
    shown = [content["data"] for content in answer.contents("display_data")]
    line, bar = [data for data in shown if "Running for" not in data["text/plain"]]
    assert line["text/plain"] == "<line chart: Growth>"
    assert bar["text/plain"] == "<bar chart>"
    assert base64.b64decode(line["image/png"]).startswith(b"\x89PNG")


def test_a_failure_fails_the_cell_and_shows_the_output(kernel: Driver) -> None:
    answer = kernel.run("%%code_run\nprint('out')\n1/0")
    assert answer.stdout.startswith("out\n")
    assert "ZeroDivisionError" in answer.stdout
    assert answer.error["evalue"] == "The code ended with exit status 1."
    assert kernel.run("_exit_code").result == "1"
    answer = kernel.run("%%code_run --no-raise\nimport sys; sys.exit(127)")
    assert answer.reply["status"] == "ok"
    assert kernel.run("_exit_code").result == "127"


@pytest.mark.parametrize(
    ("code", "ename", "words"),
    [
        ("%%code_run\n  \n", "MagicUsageError", "There is no code to run"),
        ("%code_run", "MagicUsageError", "is a cell magic"),
        ("%%code_run print(1)\n1", "MagicUsageError", "Too many arguments"),
        ("%%code_run --language ruby\n1", "MagicUsageError", "python, javascript or typescript, not 'ruby'"),
        ('%%code_run --argv "\'"\n1', "MagicUsageError", "--argv takes"),
        ("%%code_run --env X\n1", "MagicUsageError", "--env takes NAME=VALUE"),
        ("%%code_run --timeout 0.5\n1", "MagicUsageError", "--timeout takes whole seconds"),
        (
            "%%code_run --timeout 1\nimport time; time.sleep(60)",
            "DaytonaProcessExecutionTimeoutError",
            "exceeded its timeout",
        ),
        ("%%code_run\nimport sys; sys.exit(3)", "CommandFailedError", "exit status 3"),
    ],
)
def test_a_wrong_cell_gives_one_sentence_and_keeps_the_variables(
    kernel: Driver, code: str, ename: str, words: str
) -> None:
    assert_fails(kernel, code, ename, words)


def test_an_interrupt_ends_the_code_and_its_children(kernel: Driver) -> None:
    code = (
        "import subprocess, time\n"
        "subprocess.Popen(['sleep', '4711'], start_new_session=True)\n"
        "try:\n    time.sleep(4711)\nexcept KeyboardInterrupt:\n    time.sleep(4711)"
    )

    def sleeping() -> bool:
        # With or without its own pid namespace, it is a descendant of the kernel.
        below = psutil.Process(kernel.pid).children(recursive=True)
        return any("4711" in each.cmdline() for each in below if each.is_running())

    answer, _ = kernel.interrupt_when("display_data", f"%%code_run\n{code}")
    assert answer.error["ename"] == "KeyboardInterrupt"
    wait_until(lambda: not sleeping())
    assert kernel.run("1").result == "1"
    assert answer.contents("update_display_data")[-1]["data"] == {"text/plain": ""}


def test_languages_are_completed(kernel: Driver) -> None:
    line = "%%code_run --language j"
    answer = kernel.request("complete_request", {"code": line, "cursor_pos": len(line)})
    assert answer["matches"] == ["javascript"]
