"""What has ended gives back its memory, descriptors and processes."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import psutil
import pytest
import zmq
from ipykernel.shellchannel import ShellChannelThread
from jupyter_client.session import Session

from daytona_kernel.kernel.out.iopub import IOPub
from tests.kernel.driver import processes_of, wait_until

if TYPE_CHECKING:
    from tests.kernel.driver import Driver


def test_ended_agents_leave_no_shell(own_kernel: Driver) -> None:
    assert own_kernel.run("1 + 1").result == "2"
    before = shells_of(own_kernel)
    for _ in range(2):
        (agent,) = agents_of(own_kernel)
        agent.kill()
        own_kernel.run("pass")
        assert own_kernel.run("1 + 1").result == "2"
    wait_until(lambda: shells_of(own_kernel) == before, 20, "a shell of a dead agent is left")


def test_a_front_end_that_does_not_read_costs_the_others_nothing(own_kernel: Driver) -> None:
    own_kernel.run("1 + 1")
    kernel = psutil.Process(own_kernel.pid)
    with own_kernel.another_client():
        before = kernel.memory_full_info().pss
        for _ in range(20):  # a busy reader may be a thousand messages behind, and zmq keeps no more for it
            answer = own_kernel.run("for i in range(1_000): print(i, flush=True)")
            assert answer.stdout == "".join(f"{i}\n" for i in range(1_000))
        assert kernel.memory_full_info().pss - before < 20e6


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "beside one that does not read"])
def test_a_front_end_that_reads_late_gets_everything(others: int) -> None:
    """Twenty thousand messages of 1 kB are several times what zmq and TCP keep for it."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket, ExitStack() as stack:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        thread = ShellChannelThread(context, daemon=True)
        iopub = IOPub(socket, thread, Session(key=b"key"))
        thread.start()

        def front_end(topic: bytes) -> zmq.Socket[bytes]:
            reader: zmq.Socket[bytes] = stack.enter_context(context.socket(zmq.SUB))
            reader.subscribe(topic)
            reader.connect(f"tcp://127.0.0.1:{port}")
            assert reader.poll(10_000)  # the welcome
            reader.recv_multipart()
            return reader

        def publish() -> None:
            for number in range(20_000):
                iopub.send_multipart([b"stream", b"%d" % number, bytes(1_000)])

        for _ in range(others):
            front_end(b"")
            publish()
        late = front_end(b"stream")
        while others and late.poll(3_000):  # until the other one misses messages
            late.recv_multipart()
        publishing = threading.Thread(target=publish)
        publishing.start()
        if not others:
            time.sleep(0.3)  # beside one that does not read, the relay waits no longer than that
        for number in range(20_000):
            if others and number % 500 == 0:
                time.sleep(0.02)
            assert late.poll(10_000), f"message {number} is lost"
            assert late.recv_multipart()[1] == b"%d" % number
        publishing.join()
        iopub.stop()


def shells_of(driver: Driver) -> int:
    """Return the number of shells in the sandbox."""
    return sum(command[0].endswith("bash") for command in commands_of(driver).values() if command)


def agents_of(driver: Driver) -> list[psutil.Process]:
    """Return the processes of the agent, without its interpreter."""
    return [
        process
        for process, command in commands_of(driver).items()
        if any("agent-" in word for word in command)
        and "interpreter" not in command
        and "python" in command[0]
    ]


def commands_of(driver: Driver) -> dict[psutil.Process, list[str]]:
    """Return the arguments of the kernel's processes. Some may end meanwhile."""
    commands = {}
    for process in processes_of(driver):
        with suppress(psutil.NoSuchProcess):
            commands[process] = process.cmdline()
    return commands
