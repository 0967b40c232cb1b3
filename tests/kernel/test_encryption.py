"""Transport encryption (JEP 145): everything that passes between a front end and the kernel is encrypted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from .driver import Driver, run_kernel
from .test_debugger import CELL, Debugger
from .test_stdin import next_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator

KERNELSPEC = Path(__file__).parents[2] / "kernelspec"


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> KernelManager:
    """A manager that starts no kernel without encryption, with the kernelspec of this repository."""
    kernels = tmp_path_factory.mktemp("kernels")
    shutil.copytree(KERNELSPEC, kernels / "daytona")
    manager = KernelManager(kernel_name="daytona", transport_encryption="required")
    manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[str(kernels)])
    return manager


@pytest.fixture(scope="module")
def kernel(manager: KernelManager) -> Iterator[Driver]:
    with run_kernel(manager) as driver:
        yield driver


def test_cells(kernel: Driver) -> None:
    assert kernel.run("print('hello'); 6 * 7").result == "42"


def test_completion_beside_a_cell(kernel: Driver) -> None:
    msg_id = kernel.send("import time; variable = 1; time.sleep(1)")
    reply = kernel.request("complete_request", {"code": "impor", "cursor_pos": 5})
    assert reply["status"] == "ok"
    kernel.collect(msg_id)


def test_stdin(kernel: Driver) -> None:
    msg_id = kernel.send("input('name: ')", allow_stdin=True)
    assert next_prompt(kernel.client)["prompt"] == "name: "
    kernel.client.input("Ada")
    assert kernel.collect(msg_id).result == "'Ada'"


def test_interrupts(kernel: Driver) -> None:
    answer, _ = kernel.interrupt_when_printed("import time\nprint('on')\ntime.sleep(60)")
    assert answer.error["ename"] == "KeyboardInterrupt"


def test_subshells(kernel: Driver) -> None:
    msg_id = kernel.send("import time; beside = 0\nwhile not beside: time.sleep(0.01)\nbeside")
    kernel.run_beside("beside = 7")
    assert kernel.collect(msg_id).result == "7"


def test_the_debugger(kernel: Driver) -> None:
    debugger = Debugger(kernel)
    debugger.start()
    debugger.set_breakpoint(CELL, 2)
    msg_id = kernel.send(CELL)
    thread = debugger.wait_until_stopped()
    assert debugger.locals(debugger.top_frame(thread)) == {"n": "21"}
    debugger.ask("continue", threadId=thread)
    assert kernel.collect(msg_id).stdout == "42\n"
    debugger.ask("disconnect", restart=False, terminateDebuggee=False)


def test_widgets_and_magics(kernel: Driver) -> None:
    assert kernel.run("%sh echo from the shell").stdout == "from the shell\n"
    answer = kernel.run("import ipywidgets; ipywidgets.IntSlider(3)")
    assert answer.contents("comm_open")


@pytest.mark.parametrize("channel", ["shell", "control", "iopub", "hb"])
def test_a_client_without_the_key_gets_nothing(kernel: Driver, manager: KernelManager, channel: str) -> None:
    info = json.loads(Path(manager.connection_file).read_text())
    assert info["curve_publickey"]
    kinds = {"shell": zmq.DEALER, "control": zmq.DEALER, "iopub": zmq.SUB, "hb": zmq.REQ}
    with zmq.Context() as context, context.socket(kinds[channel]) as socket:
        socket.linger = 0
        socket.connect(f"tcp://{info['ip']}:{info[f'{channel}_port']}")
        if channel == "iopub":
            socket.subscribe(b"")
        elif channel == "hb":
            socket.send(b"ping")
        else:
            session = kernel.client.session
            socket.send_multipart(session.serialize(session.msg("kernel_info_request")))
        assert kernel.run("print('on iopub')").stdout == "on iopub\n"
        assert socket.poll(500) == 0
