"""The start and the end of a kernel, also after a crash."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest

from daytona_kernel.kernel.host.handover import HandoverFile

from .driver import Driver, processes_of, running_kernel, wait_until


def test_kernel_info_does_not_wait_for_a_sandbox() -> None:
    # Nothing listens on this port, so there is never a sandbox.
    with running_kernel(DAYTONA_API_URL="http://127.0.0.1:9", DAYTONA_API_KEY="k") as driver:
        info = driver.request("kernel_info_request", {})
        assert info["implementation"] == "daytona_kernel"
        assert info["language_info"]["name"] == "python"


def test_the_banner_warns_when_the_sandbox_is_not_isolated() -> None:
    with running_kernel(DAYTONA_KERNEL_ISOLATION="none") as driver:
        assert driver.run("1 + 1").result == "2"
        assert "not isolated" in driver.request("kernel_info_request", {})["banner"]


def test_a_restart_starts_a_new_interpreter_in_the_same_sandbox(kernel: Driver) -> None:
    before = kernel.run(
        "x = 1; import os; open('kept.txt', 'w').write('here'); os.environ['DAYTONA_SANDBOX_ID']"
    )
    kernel.client.stop_channels()
    kernel.manager.restart_kernel()
    kernel.connect()
    answer = kernel.run("print('x' in globals(), open('kept.txt').read()); os = __import__('os')")
    assert answer.stdout == "False here\n"
    assert kernel.run("os.environ['DAYTONA_SANDBOX_ID']").result == before.result


def test_a_kernel_that_replaces_a_crashed_one_finds_the_old_interpreter(kernel: Driver) -> None:
    kernel.run("x = 41")
    kernel.client.stop_channels()
    os.kill(kernel.pid, signal.SIGKILL)
    kernel.manager.restart_kernel(now=True)
    kernel.connect()
    assert kernel.run("x + 1").result == "42"


def test_a_kernel_does_not_use_an_agent_of_another_version(kernel: Driver) -> None:
    kernel.run("x = 41; open('kept.txt', 'w').write('here')")
    kernel.client.stop_channels()
    os.kill(kernel.pid, signal.SIGKILL)
    file = HandoverFile(Path(kernel.manager.connection_file))
    handover = file.read()
    assert handover.agent is not None
    handover.agent["protocol"] = 0
    file.write(handover)
    kernel.manager.restart_kernel(now=True)
    kernel.connect()
    assert kernel.run("print('x' in globals(), open('kept.txt').read())").stdout == "False here\n"


LEAVE_A_CHILD_AND_A_FILE = (
    "import subprocess; subprocess.Popen(['setsid', 'sleep', '600']); open('file', 'w').write('x')"
)


def test_shutdown_leaves_no_process_and_no_directory() -> None:
    with tempfile.TemporaryDirectory() as directory:
        with running_kernel(TMPDIR=directory) as driver:
            driver.run(LEAVE_A_CHILD_AND_A_FILE)
            assert any(Path(directory).iterdir())
            processes = processes_of(driver)
            connection_file = Path(driver.manager.connection_file)
            provisioner: Any = driver.manager.provisioner
            kernel_process = provisioner.process
        # The kernel ended by itself. Jupyter kills a kernel that does not end in time.
        assert kernel_process.returncode == 0
        assert len(processes) >= 5
        assert not psutil.wait_procs(processes, timeout=10)[1]
        wait_until(lambda: not any(Path(directory).iterdir()), 10, "a directory was left")
    assert not list(connection_file.parent.glob(f"*{connection_file.stem}*"))


def test_a_killed_kernel_leaves_no_process_and_no_directory() -> None:
    with tempfile.TemporaryDirectory() as directory, running_kernel(TMPDIR=directory) as driver:
        driver.run(LEAVE_A_CHILD_AND_A_FILE)
        processes = processes_of(driver)
        os.kill(driver.pid, signal.SIGKILL)
        assert not psutil.wait_procs(processes, timeout=10)[1]
        wait_until(lambda: not any(Path(directory).iterdir()), 10, "a directory was left")


def test_a_killed_interpreter_fails_the_cell_and_the_next_one_runs(kernel: Driver) -> None:
    kernel.run("x = 1")
    answer = kernel.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert answer.error["ename"] == "InterpreterDiedError"
    assert "SIGKILL" in answer.error["evalue"]
    assert answer.reply["status"] == "error"
    assert kernel.run("'x' in globals()").result == "False"


def test_a_killed_agent_fails_the_cell_and_the_next_one_runs(own_kernel: Driver) -> None:
    own_kernel.run("x = 1")
    (agent,) = [
        p
        for p in processes_of(own_kernel)
        if any("agent-" in a for a in p.cmdline())
        and "interpreter" not in p.cmdline()
        and p.name().startswith("python")
    ]
    killed = False

    def on_message(message: dict[str, Any]) -> None:
        nonlocal killed
        if message["msg_type"] == "stream" and not killed:
            killed = True
            agent.kill()

    answer = own_kernel.run("print('go', flush=True); import time; time.sleep(60)", on_message)
    assert answer.error["ename"] == "InterpreterLostError"
    assert own_kernel.run("'x' in globals()").result == "False"


@pytest.mark.parametrize(
    ("environment", "ename", "words"),
    [
        ({"DAYTONA_API_URL": "http://127.0.0.1:9"}, "DaytonaAuthenticationError", "DAYTONA_API_KEY"),
        (
            {"DAYTONA_API_URL": "http://127.0.0.1:9", "DAYTONA_API_KEY": "k-1234"},
            "DaytonaConnectionError",
            "127.0.0.1:9",
        ),
        ({"DAYTONA_SANDBOX_ID": "none-such"}, "DaytonaNotFoundError", "none-such"),
    ],
)
def test_without_a_sandbox_a_cell_shows_one_sentence_and_the_kernel_lives(
    environment: dict[str, str], ename: str, words: str
) -> None:
    with running_kernel(**environment) as driver:
        for _ in range(2):
            answer = driver.run("1 + 1")
            assert answer.error["ename"] == ename
            assert words in answer.error["evalue"]
            assert len(answer.error["traceback"]) == 1
            assert "k-1234" not in str(answer.messages)
        assert driver.request("kernel_info_request", {})["status"] == "ok"
