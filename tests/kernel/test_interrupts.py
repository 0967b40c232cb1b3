"""Interrupts of code that stops at once, that stops later, and that ignores them."""

from __future__ import annotations

import re
import signal
import socket

import pytest

from .driver import DEADLINE, Driver, running_kernel, sleeps_of, wait_until

AWAITING = "import asyncio\nprint('go', flush=True)\nawait asyncio.sleep(600)"


def wait_until_received(kernel: Driver) -> None:
    """Wait until the kernel has received all shell requests. An interrupt takes another channel."""
    kernel.request("kernel_info_request", {})


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(600)",
        "while True: pass",
        "import threading; threading.Event().wait()",
        "import asyncio; await asyncio.sleep(600)",
        "import asyncio; await asyncio.gather(asyncio.sleep(600), asyncio.sleep(600))",
        "import asyncio, time; await asyncio.sleep(0); time.sleep(600)",
        "async def main():\n    while True: pass\nawait main()",
    ],
)
def test_a_cell_stops_and_keeps_the_state(kernel: Driver, code: str) -> None:
    kernel.run("kept = 1")
    # A thread prints a little later, so that the interrupt does not hit the line that prints.
    say_go = "import threading; threading.Timer(0.1, print, ['go'], {'flush': True}).start()"
    answer, _ = kernel.interrupt_when_printed(f"{say_go}\n{code}")
    assert (answer.error["ename"], answer.reply["ename"]) == ("KeyboardInterrupt",) * 2
    assert code.splitlines()[-1][-10:] in _plain(answer.error["traceback"])
    assert answer.stderr == ""
    assert kernel.run("kept").result == "1"


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess; subprocess.run(['sleep', '601'])",
        "import subprocess; subprocess.run(['sh', '-c', 'trap \"\" INT; sleep 601'])",
        "!sleep 601",
        "x = !sleep 601",
        "%sh sleep 601",
    ],
)
def test_a_command_stops_and_keeps_the_state(kernel: Driver, code: str) -> None:
    kernel.run("kept = 1")
    msg_id = kernel.send(code)
    wait_until(lambda: bool(sleeps_of(kernel)), DEADLINE, "the command never ran")
    kernel.manager.interrupt_kernel()
    kernel.collect(msg_id)
    assert kernel.run("kept").result == "1"
    for left in sleeps_of(kernel):
        left.kill()
    wait_until(lambda: sleeps_of(kernel) == [], DEADLINE, "a command is left")


def test_interrupts_reach_cells_if_the_kernels_starter_blocks_them() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with running_kernel() as driver:
            assert driver.run("import signal; signal.pthread_sigmask(signal.SIG_BLOCK, ())").result == "set()"
            for code in ("import time; time.sleep(600)", "%sh echo go; sleep 600"):
                answer, _ = driver.interrupt_when_printed(f"print('go', flush=True)\n{code}", pause=0.2)
                assert answer.error["ename"] == "KeyboardInterrupt"
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.parametrize("code", ["x = 1", "import time; time.sleep(0.02)", "await asyncio.sleep(0.02)"])
def test_an_interrupt_at_any_moment_costs_no_cell_its_reply(kernel: Driver, code: str) -> None:
    kernel.run("import asyncio")
    for tenths in range(60):
        answer, _ = kernel.interrupt_when("execute_input", code, tenths / 10_000)
        assert answer.reply["status"] == "ok" or answer.reply["ename"] == "KeyboardInterrupt", answer
    # An interrupt that arrived after the end of its cell does not interrupt the next cell.
    assert kernel.run("print('next')").stdout == "next\n"


def test_an_interrupt_before_the_first_line_is_shown_at_that_line(kernel: Driver) -> None:
    kernel.run(
        "import os, signal\ntransformers = get_ipython().input_transformers_cleanup\n"
        "def interrupt(lines):\n    transformers.remove(interrupt)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n    return lines\n"
        "transformers.append(interrupt)"
    )
    answer = kernel.run("# a comment\nfirst = 1")
    assert (answer.error["ename"], answer.reply["ename"]) == ("KeyboardInterrupt",) * 2
    assert "----> 2 first = 1" in _plain(answer.error["traceback"])


def test_an_interrupt_beside_user_expressions_costs_no_cell_its_reply(own_kernel: Driver) -> None:
    own_kernel.run(
        "import os, signal, sys\nshell = get_ipython()\n"
        "class Shell(type(shell)):\n"
        "    @property\n    def user_global_ns(self):\n"
        "        if sys._getframe(1).f_code.co_name == 'user_expressions':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "        return self.user_module.__dict__\n"
        "shell.__class__ = Shell"
    )
    assert own_kernel.run("1 + 1").reply["status"] == "ok"
    reply = own_kernel.run("1 + 1", user_expressions={"two": "1 + 1"}).reply
    assert (reply["status"], reply["user_expressions"]["two"]["ename"]) == ("ok", "KeyboardInterrupt")


def test_an_interrupt_beside_the_error_of_a_hook_costs_no_cell_its_reply(own_kernel: Driver) -> None:
    own_kernel.run(
        "import os, signal\nshell = get_ipython()\n"
        "shell.events.register('post_execute', lambda: 1 / 0)\n"
        "shell.showtraceback = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)"
    )
    assert own_kernel.run("1 + 1").reply["status"] == "ok"


def test_all_tasks_of_a_task_group_are_canceled(kernel: Driver) -> None:
    code = (
        "import asyncio\nended = []\n"
        "async def child():\n    try: await asyncio.sleep(600)\n    finally: ended.append(1)\n"
        "async with asyncio.TaskGroup() as group:\n"
        "    group.create_task(child()); group.create_task(child())\n"
        "    await asyncio.sleep(0); print('go', flush=True)"
    )
    answer, _ = kernel.interrupt_when_printed(code)
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert kernel.run("ended").result == "[1, 1]"


def test_a_cell_that_cancels_itself_is_not_interrupted(kernel: Driver) -> None:
    kernel.interrupt_when_printed(AWAITING)
    answer = kernel.run("task = asyncio.ensure_future(asyncio.sleep(9)); task.cancel(); await task")
    assert (answer.error["ename"], answer.reply["ename"]) == ("CancelledError",) * 2


def test_a_blocking_call_shows_a_notice_and_stops_when_it_returns(kernel: Driver) -> None:
    # No signal ends the wait for a mutex in C, like a long computation. Its first byte is 2 while somebody
    # waits for it, and only then is the call sure to be in C.
    kernel.run(
        "import ctypes, threading, time\n"
        "libc, mutex, kept = ctypes.CDLL(None), ctypes.create_string_buffer(64), 1\n"
        "def tell():\n    while mutex.raw[0] != 2: time.sleep(0.001)\n    print('go', flush=True)"
    )
    msg_id = kernel.send(
        "libc.pthread_mutex_lock(mutex)\nthreading.Thread(target=tell).start()\n"
        "libc.pthread_mutex_lock(mutex)\nkept = 2"
    )
    kernel.await_text("go\n")
    kernel.manager.interrupt_kernel()
    notice = kernel.next_output("stream")["content"]
    assert notice["name"] == "stderr"
    assert "SIGINT" in notice["text"]
    assert "restart the kernel" in notice["text"]
    kernel.run_beside("libc.pthread_mutex_unlock(mutex)")
    assert kernel.collect(msg_id).error["ename"] == "KeyboardInterrupt"
    assert kernel.run("kept").result == "1"


def test_a_cell_that_ignores_interrupts_shows_a_notice_each_time_and_continues(kernel: Driver) -> None:
    msg_id = kernel.send(
        "import os, signal, time\nbefore = signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print('go', flush=True)\nwhile not os.path.exists('stop'): time.sleep(0.01)\n"
        "signal.signal(signal.SIGINT, before)\nprint('end')"
    )
    kernel.await_text("go\n")
    for _ in range(2):
        # The second interrupt arrives while the first one has no notice yet.
        kernel.manager.interrupt_kernel()
        kernel.manager.interrupt_kernel()
        notice = kernel.next_output("stream")["content"]
        assert notice["name"] == "stderr"
        assert "the cell still runs" in notice["text"]
        assert "Interrupt again" in notice["text"]
    kernel.run_beside("open('stop', 'w').close()")
    answer = kernel.collect(msg_id)
    assert (answer.stdout, answer.stderr, answer.reply["status"]) == ("end\n", "", "ok")


def test_the_cells_behind_an_interrupted_one_are_aborted(kernel: Driver) -> None:
    for first in (AWAITING, "print('go', flush=True)\nwhile True: pass"):
        ids = [kernel.send(code) for code in (first, "y = 1", "y = 2")]
        wait_until_received(kernel)
        kernel.await_text("go\n")
        kernel.manager.interrupt_kernel()
        assert [kernel.collect(each).reply["status"] for each in ids] == ["error", "aborted", "aborted"]
        assert kernel.run("'y' in globals()").result == "False"


def test_an_interrupt_without_a_running_cell_does_nothing(kernel: Driver) -> None:
    kernel.run("kept = 3")
    for _ in range(3):
        assert kernel.request("interrupt_request", {}, "control")["status"] == "ok"
    assert kernel.run("kept").result == "3"


def test_cells_that_wait_for_their_sandbox_stop() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with running_kernel(DAYTONA_API_URL=url, DAYTONA_API_KEY="k") as driver:
            ids = [driver.send("1 + 1"), driver.send("2 + 2")]
            wait_until_received(driver)
            driver.manager.interrupt_kernel()
            first = driver.collect_output(ids[0])
            assert first.error["ename"] == "KeyboardInterrupt"
            assert "nothing of it has run" in first.error["evalue"]
            assert driver.collect(ids[1]).reply["status"] == "aborted"


def test_an_interpreter_that_is_starting_survives_an_interrupt(kernel: Driver) -> None:
    kernel.run("import os, signal")
    msg_id = kernel.send("os.kill(os.getpid(), signal.SIGKILL)")
    assert kernel.collect(msg_id).error["ename"] == "InterpreterDiedError"
    # The start of a new interpreter takes far longer than these messages.
    waiting = kernel.send("1 + 1")
    wait_until_received(kernel)
    kernel.manager.interrupt_kernel()
    answer = kernel.collect(waiting)
    assert answer.error["ename"] == "KeyboardInterrupt"
    assert "nothing of it has run" in answer.error["evalue"]
    assert kernel.run("1 + 1").result == "2"


def _plain(traceback: list[str]) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(traceback))
