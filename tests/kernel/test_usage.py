"""`usage_request`, as jupyter-resource-usage sends it: it reports the sandbox's usage at any time."""

from __future__ import annotations

import socket
from typing import Any

from .driver import DEADLINE, Driver, running_kernel, sleeps_of, wait_until

MIB = 1 << 20


def ask(kernel: Driver) -> dict[str, Any]:
    return kernel.request("usage_request", {}, "control")


def test_usage_is_that_of_the_sandbox(kernel: Driver) -> None:
    pid, host = kernel.run("import os, socket; print(os.getpid(), socket.gethostname())").stdout.split()
    before = ask(kernel)
    assert (before["pid"], before["hostname"]) == (int(pid), host)
    kernel.run(f"held = b'x' * {200 * MIB}")
    after = ask(kernel)
    assert 150 * MIB < after["kernel_memory"] - before["kernel_memory"] < 250 * MIB
    grown = after["host_virtual_memory"]["used"] - before["host_virtual_memory"]["used"]
    assert 150 * MIB < grown < 250 * MIB
    memory = after["host_virtual_memory"]
    assert memory["used"] < memory["total"]
    assert memory["percent"] == round(100 * memory["used"] / memory["total"], 1)
    # The memory of a command counts for the sandbox, and not for the interpreter.
    kernel.run("%session create other")
    kernel.run(
        "%session run other --async python3 -c \"import time; x = b'x' * (300 << 20); time.sleep(600)\""
    )
    wait_until(
        lambda: ask(kernel)["host_virtual_memory"]["used"] - memory["used"] > 250 * MIB,
        DEADLINE,
        "the command's memory was not counted",
    )
    assert ask(kernel)["kernel_memory"] - after["kernel_memory"] < 50 * MIB
    kernel.run("%session delete other\ndel held")


def test_usage_is_reported_while_a_cell_runs_and_while_c_code_holds_the_interpreter_lock(
    kernel: Driver,
) -> None:
    ask(kernel)
    blocked = kernel.send("while True: pass")
    kernel.next_output("execute_input")
    wait_until(lambda: ask(kernel)["kernel_cpu"] > 5, DEADLINE, "no CPU use was reported")
    kernel.manager.interrupt_kernel()
    kernel.collect(blocked)
    blocked = kernel.send("import ctypes; ctypes.PyDLL(None).system(b'sleep 600')")

    wait_until(lambda: bool(sleeps_of(kernel)), DEADLINE, "the call never started")
    assert ask(kernel)["kernel_memory"] > MIB
    for sleeper in sleeps_of(kernel):
        sleeper.kill()
    assert kernel.collect(blocked).reply["status"] == "ok"


def test_usage_is_an_error_before_there_is_a_sandbox() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with running_kernel(DAYTONA_API_URL=url, DAYTONA_API_KEY="k") as driver:
            reply = ask(driver)
            assert reply["status"] == "error"
            assert "no interpreter" in reply["evalue"]
