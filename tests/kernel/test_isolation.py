"""On a machine that cannot isolate sandboxes, the first cell runs nothing, asks, or warns."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .driver import Driver, running_kernel
from .test_stdin import next_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator

WITHOUT = "Sandboxes are not isolated from this machine and its files"


@pytest.fixture
def unisolated(tmp_path: Path) -> Iterator[Driver]:
    """A kernel on a machine without bubblewrap."""
    programs = {program.name: program for path in ("/bin", "/usr/bin") for program in Path(path).iterdir()}
    for name, program in programs.items():
        if name != "bwrap":
            (tmp_path / name).symlink_to(program)
    with running_kernel(DAYTONA_KERNEL_ISOLATION="bubblewrap", PATH=str(tmp_path)) as driver:
        yield driver


def test_where_nobody_can_be_asked_the_cell_fails_and_says_what_to_do(unisolated: Driver) -> None:
    for code in ("open('/etc/hostname').read()", "%sh ls"):
        error = unisolated.run(code, allow_stdin=False).error
        assert error["ename"] == "IsolationError"
        assert "bubblewrap is not installed. Nothing has run." in error["evalue"]
        assert "apt install bubblewrap" in error["evalue"]
        assert "DAYTONA_KERNEL_ISOLATION=none" in error["evalue"]


@pytest.mark.parametrize("code", ["6 * 7", "%sh echo 42"])
def test_the_person_can_go_on_without_isolation(unisolated: Driver, code: str) -> None:
    msg_id = unisolated.send(code, allow_stdin=True)
    prompt = next_prompt(unisolated.client)["prompt"]
    assert "bubblewrap is not installed" in prompt
    assert prompt.endswith("Run this kernel's code without isolation? [y/N] ")
    unisolated.client.input("yes")
    answer = unisolated.collect(msg_id)
    assert WITHOUT in answer.stderr
    assert "42" in answer.stdout or answer.result == "42"
    assert unisolated.run("1 + 1", allow_stdin=True).result == "2"  # it is asked once


def test_the_person_refuses(unisolated: Driver) -> None:
    msg_id = unisolated.send("1", allow_stdin=True)
    next_prompt(unisolated.client)
    unisolated.client.input("no")
    assert unisolated.collect(msg_id).error["ename"] == "IsolationError"


def test_an_interrupt_withdraws_the_question(unisolated: Driver) -> None:
    msg_id = unisolated.send("1", allow_stdin=True)
    next_prompt(unisolated.client)
    unisolated.manager.interrupt_kernel()
    assert unisolated.collect(msg_id).reply["status"] == "error"


def test_the_first_cell_of_each_kernel_says_that_isolation_is_off() -> None:
    with running_kernel(DAYTONA_KERNEL_ISOLATION="none") as driver:
        first = driver.run("1")
        assert f"{WITHOUT}: DAYTONA_KERNEL_ISOLATION=none is set.\n" in first.stderr
        assert first.result == "1"
        assert driver.run("2").stderr == ""


def test_a_bubblewrap_that_hangs_runs_nothing_without_isolation(tmp_path: Path) -> None:
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    with running_kernel(DAYTONA_KERNEL_ISOLATION="auto", PATH=f"{tmp_path}:/usr/bin:/bin") as driver:
        error = driver.run("1", allow_stdin=True).error
        assert error["ename"] == "IsolationError"
        assert "Run it again." in error["evalue"]


def test_a_starter_that_ignores_the_ends_of_children_leaves_the_isolation_on() -> None:
    if subprocess.run(["bwrap", "--ro-bind", "/", "/", "true"], check=False).returncode:  # noqa: S607  # as the server finds it
        pytest.skip("bubblewrap does not work here")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with running_kernel(DAYTONA_KERNEL_ISOLATION="auto") as driver:
            inside = driver.run("import socket; socket.gethostname()", allow_stdin=False)
            assert inside.result == "'sandbox'"
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_pip_says_that_the_sandbox_has_no_network() -> None:
    with running_kernel(DAYTONA_KERNEL_NETWORK="none", DAYTONA_KERNEL_ISOLATION="bubblewrap") as driver:
        if driver.run("1").reply["status"] != "ok":
            pytest.skip("bubblewrap does not work here")
        failed = driver.run("%pip install --retries 0 a-package-of-nobody")
        assert "The sandbox has no network, so pip cannot load packages. Run %daytona" in failed.stderr
        assert "no network" not in driver.run("%pip --version").stderr
