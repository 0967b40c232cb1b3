"""Requests to the kernel itself: its information, subscriptions to iopub, and shutdown."""

from __future__ import annotations

from typing import Any

import psutil
import pytest
import zmq
from jupyter_client.session import Session

from .driver import DEADLINE, Driver, running_kernel


def subscribe(kernel: Driver, topic: bytes) -> dict[str, Any]:
    """Subscribe to iopub as a new client, and return the first message that arrives."""
    info = kernel.manager.get_connection_info()
    session = Session(key=info["key"])
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.connect(f"tcp://{info['ip']}:{info['iopub_port']}")
        socket.subscribe(topic)
        assert socket.poll(int(DEADLINE * 1000)), "no message arrived"
        _, frames = session.feed_identities(socket.recv_multipart())
        return dict(session.deserialize(frames))


def test_kernel_info_reports_the_language_of_the_sandbox(kernel: Driver) -> None:
    version = kernel.run("import platform; platform.python_version()").result.strip("'")
    info = kernel.request("kernel_info_request", {})
    assert info["language_info"]["version"] == version
    assert info["language_info"]["codemirror_mode"] == {"name": "ipython", "version": 3}
    assert info["implementation"] == "daytona_kernel"
    assert kernel.request("kernel_info_request", {}, "control") == info


def test_a_new_subscriber_is_welcomed(kernel: Driver) -> None:
    # Like ipykernel: zmq does not report a topic that another client has subscribed to already.
    for topic in (b"kernel", b"status", b"kernel"):
        message = subscribe(kernel, topic)
        assert message["msg_type"] == "iopub_welcome"
        assert message["content"] == {"subscription": topic.decode()}


def test_a_front_end_may_shut_the_kernel_down_while_a_cell_runs() -> None:
    with running_kernel() as driver:
        driver.run("import time")
        process = psutil.Process(driver.pid)
        driver.send("time.sleep(600)")
        driver.next_output("execute_input")
        reply = driver.request("shutdown_request", {"restart": False}, "control")
        assert (reply["status"], reply["restart"]) == ("ok", False)
        assert driver.next_output("shutdown_reply")["content"] == reply
        process.wait(DEADLINE)


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_an_unknown_request_is_refused_and_does_no_harm(kernel: Driver, channel: str) -> None:
    reply = kernel.request("no_such_request", {}, channel)
    assert (reply["status"], reply["ename"]) == ("error", "UnknownRequestError")
    assert kernel.run("1 + 1").result == "2"


def test_a_malformed_request_is_answered(kernel: Driver) -> None:
    # ipykernel drops both.
    history = kernel.send_message("history_request", {"hist_access_type": 5})
    assert kernel.request("debug_request", {}, "control")["status"] == "error"
    assert kernel.reply(history) == {"status": "ok", "history": []}


def test_an_execution_without_code_is_refused_and_does_no_harm(kernel: Driver) -> None:
    reply = kernel.request("execute_request", {"silent": False})
    assert (reply["status"], reply["ename"]) == ("error", "ValueError")
    assert kernel.run("1 + 1").result == "2"


def test_a_kernel_starts_where_warnings_are_errors() -> None:
    # CI setups run nbclient and papermill so. A warning in the kernel's start would end it.
    with running_kernel(PYTHONWARNINGS="error") as driver:
        assert driver.run("1 + 1").result == "2"
