"""A broken connection to the sandbox: what passes is waited for, and no cell hangs."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel import Daytona, DaytonaConnectionTimeoutError, SessionExecuteRequest
from tests.kernel.driver import Driver, running_kernel, wait_until
from tests.served import config, serving

from .proxy import FaultProxy, Weather, Where, fault_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTING = "import time\nfor i in range(60):\n    print(i, flush=True)\n    time.sleep(0.05)"
COUNTED = "".join(f"{i}\n" for i in range(60))


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FaultProxy, dict[str, str]]]:
    with (
        serving(tmp_path_factory.mktemp("served")) as environment,
        fault_proxy(environment["DAYTONA_API_URL"]) as proxy,
    ):
        yield proxy, {**environment, "DAYTONA_API_URL": proxy.url}


@pytest.fixture(scope="module")
def kernel(proxy: tuple[FaultProxy, dict[str, str]]) -> Iterator[Driver]:
    with running_kernel(**proxy[1]) as driver:
        assert driver.run("1 + 1").result == "2"
        yield driver


@pytest.mark.parametrize("where", [Where.PREVIEW, Where.BOTH])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 429, 500, 502, 503, 504])
def test_a_server_that_refuses_for_a_while_costs_a_cell_nothing(
    proxy: tuple[FaultProxy, dict[str, str]], kernel: Driver, status: int, where: Where
) -> None:
    running = kernel.send(COUNTING)
    kernel.next_output("stream")
    with proxy[0].answering(status, where):
        wait_until(lambda: proxy[0].refused >= 2, 30, "the kernel did not try again")
    answer = kernel.collect(running)
    assert COUNTED.endswith(answer.stdout)
    assert kernel.run("i").result == "59"


def test_the_running_cell_says_that_the_connection_is_away(
    proxy: tuple[FaultProxy, dict[str, str]], kernel: Driver
) -> None:
    shown: list[str] = []

    def on_message(message: dict[str, Any]) -> None:
        if message["msg_type"] in ("display_data", "update_display_data"):
            shown.append(message["content"]["data"]["text/plain"])
            if len(shown) == 1:
                proxy[0].clear()
        elif message["msg_type"] == "stream" and not shown:  # a print may come in two messages
            proxy[0].refuse(502, Where.PREVIEW)

    answer = kernel.run(
        "print(0, flush=True)\nimport time\nfor i in range(120):\n    time.sleep(0.1)", on_message
    )
    assert answer.reply["status"] == "ok"
    assert "no connection to the sandbox for 3 seconds" in shown[0]
    assert "502" in shown[0]
    assert shown[-1] == ""


def test_a_cell_that_is_sent_meanwhile_runs_later(
    proxy: tuple[FaultProxy, dict[str, str]], kernel: Driver
) -> None:
    with proxy[0].answering(503, Where.BOTH):
        running = kernel.send("print('later')")
        time.sleep(1)
    assert kernel.collect(running).stdout == "later\n"


def test_a_proxys_404_is_not_the_end_of_the_sandbox(proxy: tuple[FaultProxy, dict[str, str]]) -> None:
    with running_kernel(**proxy[1]) as driver:
        sandbox = driver.run("import os; open('kept', 'w').close(); os.environ['DAYTONA_SANDBOX_ID']").result
        driver.run("%sandbox stop")
        with proxy[0].answering(404, Where.API):
            assert "404" in driver.run("1").error["evalue"]
        assert driver.run("import os; open('kept'); os.environ['DAYTONA_SANDBOX_ID']").result == sandbox


def test_an_interrupt_reaches_a_cell_that_was_sent_shortly_before_it(
    proxy: tuple[FaultProxy, dict[str, str]], kernel: Driver
) -> None:
    for _ in range(5):
        with proxy[0].answering(503, Where.BOTH):
            running = kernel.send("import time\ntime.sleep(600)")
            kernel.request("kernel_info_request", {})  # the kernel has taken the cell
            assert kernel.request("interrupt_request", {}, "control")["status"] == "ok"
        assert kernel.collect(running).error["ename"] == "KeyboardInterrupt"
        assert kernel.run("time.sleep(0)\n'next'").result == "'next'"


def test_the_answer_to_the_start_of_a_background_command_is_not_awaited_for_ever(
    proxy: tuple[FaultProxy, dict[str, str]],
) -> None:
    with Daytona(replace(config(proxy[1]), request_timeout=1)) as daytona:
        sandbox = daytona.create()
        try:
            sandbox.process.create_session("s")
            proxy[0].begin(Weather.STALL, Where.API)
            with pytest.raises(DaytonaConnectionTimeoutError):
                sandbox.process.execute_session_command(
                    "s", SessionExecuteRequest(command="true", run_async=True)
                )
        finally:
            proxy[0].clear()
            sandbox.delete()
