"""The usage of real processes, and of a control group as a container sees its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from daytona_kernel.agent import usage
from daytona_kernel.agent.usage import Usage, memory_kills

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20
# A parent that waits, and its child that holds memory and works when it is told to.
PROGRAM = """
import subprocess, sys
child = '''
import sys, time
held = bytearray(100 << 20)
print("ready", flush=True)
sys.stdin.readline()
until = time.process_time() + 1.0
while time.process_time() < until: pass
print("done", flush=True)
sys.stdin.readline()
'''
subprocess.run([sys.executable, "-c", child])
"""


@pytest.fixture
def program() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
        assert child.stdin is not None
        child.stdin.close()


def test_memory_and_work_of_a_process_and_its_children(program: subprocess.Popen[str]) -> None:
    measured = Usage()
    before = time.monotonic()
    first = measured.report(program.pid)
    assert first["pid"] == program.pid
    assert 100 * MIB < first["kernel_memory"] < 200 * MIB
    began = time.monotonic()
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write("\n")
    program.stdin.flush()
    assert program.stdout.readline() == "done\n"
    ended = time.monotonic()
    second = measured.report(program.pid)
    # One second of work, however long it took: the counters tick every 10 ms.
    share = second["kernel_cpu"] / 100
    assert share * (time.monotonic() - before) > 0.9
    assert share * (ended - began) < 1.5
    assert 0 < second["host_cpu_percent"] <= 100
    assert measured.report(program.pid)["kernel_cpu"] < 50


def test_without_a_control_group_the_host_is_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_GROUP", tmp_path)  # as on a machine without control groups
    reply = Usage().report(os.getpid())
    assert reply["cpu_count"] == len(os.sched_getaffinity(0))
    memory = reply["host_virtual_memory"]
    assert memory["total"] == psutil.virtual_memory().total
    assert memory["used"] + memory["available"] == memory["total"]
    assert reply["kernel_memory"] <= memory["used"]


def test_with_a_control_group_the_host_is_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "memory.current": f"{300 * MIB}\n",
        "memory.max": f"{1024 * MIB}\n",
        "memory.stat": f"anon {100 * MIB}\ninactive_file {44 * MIB}\n",
        "cpu.max": "50000 100000\n",
        "cpu.stat": "usage_usec 1000000\nuser_usec 1\n",
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(usage, "_GROUP", tmp_path)
    measured = Usage()
    (tmp_path / "cpu.stat").write_text("usage_usec 3600000000\n")
    reply = measured.report(os.getpid())
    assert reply["cpu_count"] == 1
    assert reply["host_cpu_percent"] == 100.0
    memory = reply["host_virtual_memory"]
    assert (memory["total"], memory["used"], memory["percent"]) == (1024 * MIB, 256 * MIB, 25.0)
    (tmp_path / "memory.max").write_text("max\n")
    assert measured.report(os.getpid())["host_virtual_memory"]["total"] == psutil.virtual_memory().total


def test_the_processes_that_were_killed_for_their_memory_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_GROUP", tmp_path)
    assert memory_kills() == 0  # it has no control group
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 0\n")
    assert memory_kills() == 3


def test_a_process_that_is_gone_uses_nothing() -> None:
    with subprocess.Popen(["/bin/true"]) as ended:
        ended.wait()
    reply = Usage().report(ended.pid)
    assert (reply["kernel_cpu"], reply["kernel_memory"]) == (0.0, 0)
