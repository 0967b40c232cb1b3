"""Requests to the kernel itself: its information, subscriptions to iopub, and shutdown."""

from __future__ import annotations

from typing import Any

import psutil
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


def test_an_unknown_request_is_ignored_and_does_no_harm(kernel: Driver) -> None:
    kernel.send_message("no_such_request", {})
    message = kernel.client.session.msg("no_such_request", {})
    kernel.client.control_channel.send(message)
    assert kernel.run("1 + 1").result == "2"


def test_an_execution_without_code_is_refused_and_does_no_harm(kernel: Driver) -> None:
    reply = kernel.request("execute_request", {"silent": False})
    assert (reply["status"], reply["ename"]) == ("error", "ValueError")
    assert kernel.run("1 + 1").result == "2"
