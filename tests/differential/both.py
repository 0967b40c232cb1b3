"""ipykernel and this kernel, driven like front ends drive them, and the steps of scenarios."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, chdir, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tests.kernel.driver import DEADLINE, Answer, Driver, running_kernel

from .execution import KERNELS
from .normalization import Normalizer, merged_messages
from .report import difference

if TYPE_CHECKING:
    import pytest

Scenario = Callable[[Driver], Any]


class Both:
    """Both kernels, with the directories of each. After a failed test, they are no longer equal."""

    def __init__(self, drivers: list[Driver]) -> None:
        self._drivers = drivers
        self._places = []
        self.equal = True
        for driver in drivers:
            cwd = driver.run("import os; print(os.getcwd(), end='')").stdout
            home = driver.run("print(os.environ['HOME'], end='')").stdout
            tmp = driver.run("import tempfile; print(tempfile.gettempdir(), end='')").stdout
            self._places.append({cwd: "<cwd>", home: "<home>", tmp: "/tmp"})

    def same(self, scenario: Scenario, within: float = 0.0) -> Any:
        """Play the scenario with both kernels, check that the results are equal, and return ipykernel's.

        within: the seconds in which both may repeat the scenario until it is equal. Such a scenario must
            not change the execution count.
        """
        self.equal = False
        deadline = time.monotonic() + within
        ipykernel, daytona = self._play(0, scenario), self._play(1, scenario)
        while daytona != ipykernel and time.monotonic() < deadline:
            ipykernel, daytona = self._play(0, scenario), self._play(1, scenario)
        assert ipykernel == daytona, difference(ipykernel, daytona)
        self.equal = True
        return ipykernel

    def _play(self, index: int, scenario: Scenario) -> Any:
        return Normalizer(self._places[index]).value(_plain(scenario(self._drivers[index])))


@contextmanager
def running_both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with ExitStack() as running:
        drivers = []
        for name in KERNELS:
            home = tmp_path_factory.mktemp(name)
            environment = {"HOME": str(home), "IPYTHONDIR": str(home / "ipython"), "SHELL": "/bin/bash"}
            with chdir(tmp_path_factory.mktemp("work")):
                drivers.append(running.enter_context(running_kernel(name, **environment)))
        yield Both(drivers)


class Shared:
    """The two kernels that tests share as long as they are equal."""

    def __init__(self, start: Callable[[], AbstractContextManager[Both]]) -> None:
        self._start = start
        self._running = ExitStack()
        self._both: Both | None = None

    def both(self) -> Both:
        """Return the two kernels. They are new if the last test failed."""
        if self._both is None or not self._both.equal:
            self.close()
            self._both = self._running.enter_context(self._start())
        return self._both

    def close(self) -> None:
        self._running.close()


def _plain(value: Any) -> Any:
    if isinstance(value, Answer):
        return asdict(Answer(merged_messages(value.messages), value.reply))
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def shown(driver: Driver, msg_id: str) -> Answer:
    """Return the messages of a request on iopub, until the kernel is idle."""
    answer = Answer()
    deadline = time.monotonic() + DEADLINE
    while not answer.messages or answer.messages[-1]["content"].get("execution_state") != "idle":
        message = driver.client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
        if message["parent_header"].get("msg_id") == msg_id:
            answer.messages.append(message)
    return answer


def answer_prompts(driver: Driver, code: str, answers: list[str]) -> dict[str, Any]:
    """Run a cell that asks for input, and answer; return the prompts and the cell's results."""
    msg_id = driver.send(code, allow_stdin=True)
    prompts = []
    for answer in answers:
        prompts.append(driver.client.get_stdin_msg(timeout=DEADLINE)["content"])
        driver.client.input(answer)
    return {"prompts": prompts, "answer": driver.collect(msg_id)}


def send_behind_a_failing_cell(driver: Driver, send: Callable[[], list[str]], **options: Any) -> list[str]:
    """Send requests while a cell runs that then fails; return the ids of all. send: sends the requests."""
    failing = driver.send("input('fail? ')\n1 / 0", allow_stdin=True, **options)
    driver.client.get_stdin_msg(timeout=DEADLINE)
    ids = send()
    driver.run_beside("")
    driver.client.input("yes")
    return [failing, *ids]


def printed_texts(driver: Driver, cells: list[str], last: str) -> list[list[Any]]:
    """Run cells, wait until the text `last` was printed, and return the printed texts by cell and stream."""
    parents: dict[str, int] = {}
    for code in cells:
        parents[driver.send(code)] = len(parents)
        driver.client.get_shell_msg(timeout=DEADLINE)
    texts: dict[tuple[int, str], str] = {}
    deadline = time.monotonic() + DEADLINE
    while not any(last in text for text in texts.values()):
        message = driver.client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
        cell = parents.get(message["parent_header"].get("msg_id"))
        if message["msg_type"] == "stream" and cell is not None:
            key = (cell, message["content"]["name"])
            texts[key] = texts.get(key, "") + message["content"]["text"]
    return [[*key, text] for key, text in sorted(texts.items())]
