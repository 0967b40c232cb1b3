"""Prompts for input, and output after the end of a cell, compared with ipykernel."""

from __future__ import annotations

from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from tests.kernel.driver import DEADLINE, Driver

from .both import Both, answer_prompts, printed_texts, shown

# The tests of this file and of `test_requests` share a pair of kernels.
pytestmark = pytest.mark.xdist_group("requests to both kernels")

# Prompts


def test_input_and_getpass(both: Both) -> None:
    code = "import getpass\n[input('name: '), getpass.getpass('key: '), input()]"
    result = both.same(lambda driver: answer_prompts(driver, code, ["Ada", "secret", ""]))
    assert [p["password"] for p in result["prompts"]] == [False, True, False]
    assert "['Ada', 'secret', '']" in str(result["answer"])


def test_input_in_a_loop_with_output_between(both: Both) -> None:
    code = "for n in range(3):\n    print('got', input(f'{n}? '))"
    result = both.same(lambda driver: answer_prompts(driver, code, ["a", "é", "x" * 5000]))
    assert "got é" in str(result["answer"])


def test_a_debugger_after_the_error(both: Both) -> None:
    failing = "def half(n):\n    divisor = 0\n    return n / divisor\nhalf(3)"

    def scenario(driver: Driver) -> list[Any]:
        return [
            driver.run(failing),
            answer_prompts(driver, "%debug", ["p n, divisor", "up", "where", "list", "q"]),
        ]

    _, debugged = both.same(scenario)
    assert "(3, 0)" in str(debugged)
    assert debugged["prompts"][0]["prompt"] == "ipdb> "


def test_a_breakpoint_in_a_cell(both: Both) -> None:
    code = "import pdb\ntotal = 0\nfor n in range(3):\n    pdb.set_trace()\n    total += n\ntotal"
    answers = ["p n", "next", "p total", "!n = 100", "c", "c", "c"]
    result = both.same(lambda driver: answer_prompts(driver, code, answers))
    assert "execute_result" in str(result["answer"])


def test_a_breakpoint_without_a_debugger(both: Both) -> None:
    result = both.same(lambda driver: answer_prompts(driver, "breakpoint()\nprint('reached')", []))
    assert "reached" in str(result)


def test_pdb_switched_on_for_every_error(both: Both) -> None:
    def scenario(driver: Driver) -> list[Any]:
        return [driver.run("%pdb on"), answer_prompts(driver, "1 / 0", ["q"]), driver.run("%pdb off")]

    both.same(scenario)


def test_leaving_a_breakpoint_with_quit(both: Both) -> None:
    code = "import pdb; pdb.set_trace()\nprint('never')"
    both.same(lambda driver: [answer_prompts(driver, code, ["q"]), driver.run("1")])


def test_a_script_in_the_debugger(both: Both) -> None:
    def scenario(driver: Driver) -> list[Any]:
        driver.run("open('debugged.py', 'w').write('x = 5\\nprint(x)\\n')")
        return [answer_prompts(driver, "%run -d debugged.py", ["n", "p x", "c"])]

    assert "5" in str(both.same(scenario))


def test_two_front_ends_see_all_output_and_their_own_prompts(both: Both) -> None:
    def scenario(driver: Driver) -> list[Any]:
        # Another page has another message session.
        other = BlockingKernelClient(connection_file=driver.manager.connection_file)
        other.load_connection_file()
        other.start_channels()
        try:
            other.wait_for_ready(timeout=DEADLINE)
            msg_id = other.execute("print(input('who? '))", allow_stdin=True)
            prompt = other.get_stdin_msg(timeout=DEADLINE)["content"]
            also_asked = driver.client.stdin_channel.msg_ready()
            other.input("the other")
            seen = shown(driver, msg_id)
            reply = other.get_shell_msg(timeout=DEADLINE)["content"]
            return [prompt, also_asked, seen, reply, driver.run("'mine'")]
        finally:
            other.stop_channels()

    prompt, also_asked, seen, *_ = both.same(scenario)
    assert (prompt["prompt"], also_asked) == ("who? ", False)
    assert "the other" in str(seen)


# Late output


def test_a_thread_prints_after_its_cell_has_ended(both: Both) -> None:
    cells = [
        (
            "import threading; go = threading.Event()\n"
            "def late():\n    go.wait(); print('from the first cell')\n"
            "thread = threading.Thread(target=late); thread.start()"
        ),
        "print('second'); go.set(); thread.join()",
        "print('third')",
    ]
    texts = both.same(lambda driver: printed_texts(driver, cells, "third\n"))
    assert "from the first cell" in str(texts)


def test_a_timer_prints_when_no_cell_runs(both: Both) -> None:
    cells = ["import threading; threading.Timer(0.3, print, ['by the timer']).start()", "print('second')"]
    texts = both.same(lambda driver: printed_texts(driver, cells, "by the timer"))
    assert "by the timer" in str(texts)


def test_a_task_prints_when_its_cell_has_ended(both: Both) -> None:
    cells = [
        (
            "import asyncio\nasync def later():\n    await asyncio.sleep(0.3); print('by the task')\n"
            "task = asyncio.ensure_future(later())"
        ),
        "print('second')",
    ]
    both.same(lambda driver: printed_texts(driver, cells, "by the task"))


def test_a_child_prints_while_a_later_cell_is_the_last(both: Both) -> None:
    cells = [
        (
            "import subprocess\nfrom pathlib import Path\nPath('go').unlink(missing_ok=True)\n"
            "child = subprocess.Popen('until [ -e go ]; do sleep 0.02; done; echo by the child', shell=True)"
        ),
        "print('second'); Path('go').touch(); child.wait();",
    ]
    texts = both.same(lambda driver: printed_texts(driver, cells, "by the child"))
    assert "by the child" in texts[-1][2]


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.write(1, b'to the descriptor\\n');",
        "import os; os.write(2, b'to the descriptor\\n');",
        "import os; os.system('echo to the descriptor');",
        "import subprocess; subprocess.run(['echo', 'to the descriptor']);",
        "import subprocess; subprocess.run('echo to the descriptor >&2', shell=True);",
        "import sys; print('to the descriptor', file=sys.__stderr__, flush=True)",
        "import ctypes; c = ctypes.CDLL(None); c.puts(b'to the descriptor'); c.fflush(None);",
        "import os; os.write(1, 'é to the descriptor 😀\\n'.encode());",
        "import os; os.write(1, b'\\xff not UTF-8, to the descriptor\\n');",
    ],
)
def test_output_to_file_descriptors(both: Both, code: str) -> None:
    texts = both.same(lambda driver: printed_texts(driver, [code], "to the descriptor"))
    assert [cell for cell, _, _ in texts] == [0]


def test_a_printed_lone_surrogate_does_no_harm_to_later_output(both: Both) -> None:
    def scenario(driver: Driver) -> list[Any]:
        # The lost text and the message of ipykernel depend on the moment.
        return [driver.run("print('\\ud800')").reply["status"], driver.run("print('after')").stdout]

    assert both.same(scenario) == ["ok", "after\n"]
