"""`usage_request`, as jupyter-resource-usage asks it: the sandbox's figures, and at any time."""

from __future__ import annotations

import socket
from typing import Any

from .driver import DEADLINE, Driver, processes_of, running_kernel, wait_until

MIB = 1 << 20


def ask(kernel: Driver) -> dict[str, Any]:
    return kernel.request("usage_request", {}, "control")


def test_the_figures_are_those_of_the_sandbox(own_kernel: Driver) -> None:
    pid, host = own_kernel.run("import os, socket; print(os.getpid(), socket.gethostname())").stdout.split()
    before = ask(own_kernel)
    assert (before["pid"], before["hostname"]) == (int(pid), host)
    own_kernel.run(f"held = b'x' * {200 * MIB}")
    after = ask(own_kernel)
    assert 150 * MIB < after["kernel_memory"] - before["kernel_memory"] < 250 * MIB
    grown = after["host_virtual_memory"]["used"] - before["host_virtual_memory"]["used"]
    assert 150 * MIB < grown < 250 * MIB
    memory = after["host_virtual_memory"]
    assert memory["used"] < memory["total"]
    assert memory["percent"] == round(100 * memory["used"] / memory["total"], 1)
    # What a command uses outside of the interpreter is the sandbox's, and not the interpreter's.
    own_kernel.run("%session create other")
    own_kernel.run(
        "%session run other --async python3 -c \"import time; x = b'x' * (300 << 20); time.sleep(600)\""
    )
    wait_until(
        lambda: ask(own_kernel)["host_virtual_memory"]["used"] - memory["used"] > 250 * MIB,
        DEADLINE,
        "the command's memory was not seen",
    )
    assert ask(own_kernel)["kernel_memory"] - after["kernel_memory"] < 50 * MIB


def test_it_is_answered_while_a_cell_works_and_when_c_code_holds_the_interpreter(own_kernel: Driver) -> None:
    ask(own_kernel)
    blocked = own_kernel.send("while True: pass")
    own_kernel.next_output("execute_input")
    wait_until(lambda: ask(own_kernel)["kernel_cpu"] > 5, DEADLINE, "no work was seen")
    own_kernel.manager.interrupt_kernel()
    own_kernel.collect(blocked)
    blocked = own_kernel.send("import ctypes; ctypes.PyDLL(None).system(b'sleep 600')")

    def sleepers() -> list[Any]:
        return [process for process in processes_of(own_kernel) if process.name() == "sleep"]

    wait_until(lambda: bool(sleepers()), DEADLINE, "the call never began")
    assert ask(own_kernel)["kernel_memory"] > MIB
    for sleeper in sleepers():
        sleeper.kill()
    assert own_kernel.collect(blocked).reply["status"] == "ok"


def test_before_there_is_a_sandbox_it_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with running_kernel(DAYTONA_API_URL=url, DAYTONA_API_KEY="k") as driver:
            reply = ask(driver)
            assert reply["status"] == "error"
            assert "no interpreter" in reply["evalue"]
