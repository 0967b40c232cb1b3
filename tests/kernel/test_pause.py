"""Pauses: after one, the next cell finds the variables, as long as the sandbox lives."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel import Daytona, Sandbox
from tests.conftest import both_profiles
from tests.faults.proxy import Where, fault_proxy
from tests.served import config, serving

from .driver import Driver, running_kernel, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

# Until the kernel notices that a frozen connection is one.
LIMIT = {"DAYTONA_KERNEL_WAIT_LIMIT": "5"}


@pytest.fixture(scope="module")
def served(profile: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with serving(tmp_path_factory.mktemp("served"), "--profile", profile) as environment:
        yield environment


@contextmanager
def only_sandbox(served: dict[str, str]) -> Iterator[Sandbox]:
    with Daytona(config(served)) as daytona:
        (sandbox,) = daytona.list()
        yield sandbox


def state(sandbox: Sandbox) -> str:
    sandbox.refresh_data()
    return sandbox.state


@both_profiles
def test_the_cell_after_a_pause_finds_the_variables(served: dict[str, str]) -> None:
    with running_kernel(**served) as driver:
        driver.run("x = 1; import threading, time; begun = time.time()")
        pid = driver.run("import os; os.getpid()").result
        for _ in range(2):
            paused = driver.run("%sandbox pause")
            assert paused.reply["status"] == "ok"
            assert "Paused sandbox" in paused.stdout
            with only_sandbox(served) as sandbox:
                assert state(sandbox) == "paused"
                # Front ends ask without a person. That resumes nothing.
                assert driver.request("complete_request", {"code": "x", "cursor_pos": 1})["matches"] == []
                assert state(sandbox) == "paused"
                answer = driver.run("x = x + 1; x, os.getpid()")
                assert state(sandbox) == "started"
            assert "was paused, and has been resumed" in answer.displayed
            assert "with its variables" in answer.displayed
        assert answer.result == f"(3, {pid})"
        assert driver.run("x").stderr == ""


def test_cells_behind_a_pause_run(served: dict[str, str]) -> None:
    with running_kernel(**served) as driver:
        driver.run("x = 1")
        sent = [driver.client.execute(code) for code in ("%sandbox pause", "x += 1", "x += 1")]
        assert [driver.reply(each)["status"] for each in sent] == ["ok"] * 3
        assert driver.run("x").result == "3"


@both_profiles
def test_a_pause_that_others_cause_keeps_the_variables(served: dict[str, str]) -> None:
    with running_kernel(**served, **LIMIT) as driver:
        driver.run("x = 1")
        with only_sandbox(served) as sandbox:
            sandbox.pause()
            assert driver.run("x").result == "1"
            assert state(sandbox) == "started"


def test_a_cell_that_runs_during_a_pause_goes_on(served: dict[str, str]) -> None:
    with running_kernel(**served, **LIMIT) as driver, only_sandbox_later(served) as find:

        def pause(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream" and message["content"]["text"] == "go\n":
                find().pause()

        driver.run("x = 0")
        code = "print('go', flush=True)\nfor _ in range(30):\n    x += 1\n    time.sleep(0.1)"
        answer = driver.run(f"import time\n{code}", pause)
        assert answer.error["ename"] == "InterpreterPausedError"
        assert "when a cell resumes it" in answer.error["evalue"]
        assert driver.run("x").result == "30"


@contextmanager
def only_sandbox_later(served: dict[str, str]) -> Iterator[Any]:
    with Daytona(config(served)) as daytona:

        def find() -> Sandbox:
            (sandbox,) = daytona.list()
            return sandbox

        yield find


def test_a_class_that_cannot_pause_says_what_a_stop_keeps(served: dict[str, str]) -> None:
    with fault_proxy(served["DAYTONA_API_URL"]) as proxy:
        through = {**served, "DAYTONA_API_URL": proxy.url}
        with running_kernel(**through) as driver:
            driver.run("x = 1")
            proxy.refuse_route("/pause", 400, "Sandboxes of this class cannot be paused")
            answer = driver.run("%sandbox pause")
            assert answer.error["ename"] == "DaytonaError"
            assert "cannot be paused" in answer.error["evalue"]
            assert "files are kept, and the variables are lost" in answer.error["evalue"]
            assert driver.run("x").result == "1"


@both_profiles
def test_a_stop_during_the_pause_says_that_variables_are_lost(served: dict[str, str]) -> None:
    with running_kernel(**served) as driver:
        driver.run("x = 1; open('kept', 'w').write('file')")
        driver.run("%sandbox pause")
        with only_sandbox(served) as sandbox:
            sandbox.stop()
        answer = driver.run("open('kept').read(), 'x' in globals()")
        assert answer.result == "('file', False)"
        assert "variables are lost" in answer.stderr


def test_a_kernel_in_an_embedded_server_pauses_too() -> None:
    with running_kernel() as driver:
        driver.run("x = 1")
        assert "Paused sandbox" in driver.run("%sandbox pause").stdout
        assert driver.run("x").result == "1"
        driver.run("%sandbox pause")


__all__ = ["Driver", "Where", "time", "wait_until"]
