"""The kernel's status: `busy` as long as a cell runs, whatever other requests come."""

from __future__ import annotations

import socket
import time
from queue import Empty
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel.kernel.out.running_cells import RunningCells
from daytona_kernel.views import WIDGET_MIME_TYPE
from daytona_kernel.wire.messages import Message

from .driver import DEADLINE, Driver, running_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

# A cell that runs until a file exists.
WAITING = "import os, time\nwhile not os.path.exists({name!r}): time.sleep(0.02)"


class Status:
    """The statuses that the kernel has published, in order."""

    def __init__(self, kernel: Driver) -> None:
        self.kernel = kernel
        self.seen: list[tuple[str, str]] = []

    def wait_for(self, msg_id: str, state: str) -> None:
        """Wait for a status under a request."""
        deadline = time.monotonic() + DEADLINE
        while (msg_id, state) not in self.seen:
            self._read(max(0.0, deadline - time.monotonic()))

    @property
    def last(self) -> tuple[str, str]:
        """The last status, after a moment for one that is on its way."""
        try:
            while True:
                self._read(0.3)
        except Empty:
            return self.seen[-1]

    def _read(self, timeout: float) -> None:
        message = self.kernel.client.get_iopub_msg(timeout=timeout)
        if message["msg_type"] == "status":
            self.seen.append((message["parent_header"]["msg_id"], message["content"]["execution_state"]))


def ask(msg_type: str, **content: Any) -> Callable[[Driver], str]:
    return lambda kernel: kernel.send_message(msg_type, content)


def ask_control(kernel: Driver) -> str:
    message = kernel.client.session.msg(
        "debug_request", {"command": "debugInfo", "type": "request", "seq": 1}
    )
    kernel.client.control_channel.send(message)
    return str(message["header"]["msg_id"])


def execute_beside(kernel: Driver) -> str:
    subshell = kernel.request("create_subshell_request", {}, "control")["subshell_id"]
    return kernel.send_message("execute_request", {"code": "1", "silent": False}, subshell)


BESIDE: dict[str, Callable[[Driver], str]] = {
    "complete": ask("complete_request", code="impor", cursor_pos=5),
    "inspect": ask("inspect_request", code="print", cursor_pos=5, detail_level=0),
    "is_complete": ask("is_complete_request", code="1"),
    "history": ask("history_request", output=False, raw=True, hist_access_type="tail", n=3),
    "comm_info": ask("comm_info_request"),
    "kernel_info": ask("kernel_info_request"),
    "comm_open": ask("comm_open", comm_id="a", target_name="none", data={}),
    "debug": ask_control,
    "subshell": execute_beside,
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_running_cell_keeps_the_kernel_busy(kernel: Driver, name: str) -> None:
    status = Status(kernel)
    cell = kernel.send(WAITING.format(name=name))
    status.wait_for(cell, "busy")
    beside = BESIDE[name](kernel)
    if name != "comm_open":  # ipykernel answers that after the cell
        status.wait_for(beside, "idle")
        assert status.last == (cell, "busy")
    kernel.run_beside(f"open({name!r}, 'w').close()")
    status.wait_for(cell, "idle")
    status.wait_for(beside, "idle")
    assert status.last[1] == "idle"


def test_the_page_of_a_log_keeps_the_kernel_busy(kernel: Driver) -> None:
    kernel.run("%session create s")
    answer = kernel.run("job = %session run s --async sleep 600")
    (shown,) = (d for d in answer.contents("display_data") if WIDGET_MIME_TYPE in d["data"])
    comm_id = shown["data"][WIDGET_MIME_TYPE]["model_id"]
    status = Status(kernel)
    cell = kernel.send(WAITING.format(name="log"))
    status.wait_for(cell, "busy")
    data = {"method": "custom", "content": {"type": "read", "view": "v"}}
    beside = kernel.send_message("comm_msg", {"comm_id": comm_id, "data": data})
    status.wait_for(beside, "idle")
    assert status.last == (cell, "busy")
    kernel.run_beside("open('log', 'w').close()")
    status.wait_for(cell, "idle")
    assert status.last[1] == "idle"


def test_cells_alone_publish_two_statuses_each(kernel: Driver) -> None:
    status = Status(kernel)
    cells = [kernel.send(f"{number}") for number in range(5)]
    status.wait_for(cells[-1], "idle")
    assert status.seen == [(cell, state) for cell in cells for state in ("busy", "idle")]


def message(msg_id: str, state: str) -> Message:
    return Message.make("iopub", {}, {"execution_state": state}, b'{"msg_id": "%s"}' % msg_id.encode())


def test_a_cell_that_the_relay_does_not_know_is_no_running_cell() -> None:
    running = RunningCells()
    running.add("known")
    assert running.observe(message("made up", "busy")) is None
    assert running.observe(message("other", "idle")) is None
    assert running.observe(message("known", "busy")) is None
    assert running.observe(message("other", "idle")) == b'{"msg_id": "known"}'
    running.remove("known")
    assert running.observe(message("other", "idle")) is None


def test_a_cell_that_waits_says_for_what_for_how_long_and_how_to_cancel() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with running_kernel(DAYTONA_API_URL=url, DAYTONA_API_KEY="k") as driver:
            banner = driver.request("kernel_info_request", {})["banner"]
            assert f"cells run at {url}" in banner
            texts: list[str] = []

            def interrupt(message: dict[str, Any]) -> None:
                texts.append(message["content"].get("data", {}).get("text/plain", ""))
                if len(list(filter(None, texts))) == 3:
                    driver.manager.interrupt_kernel()

            answer = driver.run("1 + 1", interrupt)
    first, *_, last = filter(None, texts)
    assert first.startswith("Creating a sandbox … 2 s.")
    assert f"Cells run at {url}." in first
    assert "To cancel, interrupt the kernel." in first
    assert int(last.split()[4]) > 2
    assert answer.error["ename"] == "KeyboardInterrupt"
    kinds = [m["msg_type"] for m in answer.messages if m["msg_type"] not in ("status", "update_display_data")]
    assert kinds == ["display_data", "clear_output", "execute_input", "error"]
