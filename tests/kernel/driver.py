"""A real kernel, driven as a front end drives it."""

from __future__ import annotations

import itertools
import os
import random
import socket
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.child_warnings import SHOW_WARNINGS, warnings_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DEADLINE = 100.0
_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
_FIRST_PORT = 10_000
# Connections get their ports from this one up.
_END_OF_PORTS = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_OWN_PORTS = range(_FIRST_PORT + _PROCESS, _END_OF_PORTS, _PROCESSES)
# Another run of tests at the same time starts elsewhere.
_START = random.randrange(len(_OWN_PORTS))  # noqa: S311  # nothing secret
_PORTS = itertools.cycle([*_OWN_PORTS[_START:], *_OWN_PORTS[:_START]])


@dataclass
class Answer:
    """The results of one request: its messages on iopub in order, and the content of its reply."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    reply: dict[str, Any] = field(default_factory=dict)

    def contents(self, msg_type: str) -> list[dict[str, Any]]:
        return [m["content"] for m in self.messages if m["msg_type"] == msg_type]

    def printed(self, stream: str) -> str:
        """Return the text in the cell at the end. A `clear_output` removes the text before it."""
        text = ""
        for message in self.messages:
            if message["msg_type"] == "clear_output":
                text = ""
            elif message["msg_type"] == "stream" and message["content"]["name"] == stream:
                text += message["content"]["text"]
        return text

    @property
    def stdout(self) -> str:
        return self.printed("stdout")

    @property
    def stderr(self) -> str:
        return self.printed("stderr")

    @property
    def displayed(self) -> str:
        """The texts of all displays, one in a line."""
        return "".join(f"{each['data']['text/plain']}\n" for each in self.contents("display_data"))

    @property
    def error(self) -> dict[str, Any]:
        (error,) = self.contents("error")
        return error

    @property
    def result(self) -> str:
        (result,) = self.contents("execute_result")
        return str(result["data"]["text/plain"])


class Driver:
    """A kernel and one client of it."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.connect()

    def connect(self) -> None:
        self.client: BlockingKernelClient = self.manager.client()
        # Clients of one manager share a session, and each counts its messages from 1. An answer to a client's
        # request must not look like one to an earlier client's.
        self.client.session.session = str(uuid.uuid4())
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=DEADLINE)
        except BaseException:
            self.client.stop_channels()
            raise
        # Replies that arrived while the test waited for another one, by the request's id.
        self._replies: dict[str, dict[str, Any]] = {}

    @contextmanager
    def another_client(self) -> Iterator[BlockingKernelClient]:
        """Connect a client with its own message session, like another front end."""
        client = BlockingKernelClient(connection_file=self.manager.connection_file)
        client.load_connection_file()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=DEADLINE)
            yield client
        finally:
            client.stop_channels()

    def send(self, code: str, **options: Any) -> str:
        return str(self.client.execute(code, **options))

    def send_together(self, codes: list[str]) -> list[str]:
        """Send cells that have all been made before the first one leaves."""
        contents = ({"code": code, "silent": False, "store_history": True} for code in codes)
        messages = [self.client.session.msg("execute_request", content) for content in contents]
        for message in messages:
            self.client.shell_channel.send(message)
        return [str(message["header"]["msg_id"]) for message in messages]

    def collect(self, msg_id: str, on_message: Callable[[dict[str, Any]], None] | None = None) -> Answer:
        """Wait for a request's reply and `idle`."""
        answer = self.collect_output(msg_id, on_message)
        answer.reply = self.reply(msg_id)
        if answer.contents("execute_input"):
            # Without its number, JupyterLab shows a cell as still running.
            assert isinstance(answer.reply["execution_count"], int)
        return answer

    def collect_output(
        self, msg_id: str, on_message: Callable[[dict[str, Any]], None] | None = None
    ) -> Answer:
        """Wait for a request's `idle`. The request may be another client's, which gets the reply."""
        answer = Answer()
        deadline = time.monotonic() + DEADLINE
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            answer.messages.append(message)
            if on_message is not None:
                on_message(message)
            if message["content"].get("execution_state") == "idle":
                return answer

    def run(
        self, code: str, on_message: Callable[[dict[str, Any]], None] | None = None, **options: Any
    ) -> Answer:
        return self.collect(self.send(code, **options), on_message)

    def send_message(self, msg_type: str, content: dict[str, Any], subshell_id: str | None = None) -> str:
        """Send any message on the shell channel and return its id."""
        message = self.client.session.msg(msg_type, content)
        if subshell_id is not None:
            message["header"]["subshell_id"] = subshell_id
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def request(
        self, msg_type: str, content: dict[str, Any], channel: str = "shell", subshell_id: str | None = None
    ) -> dict[str, Any]:
        """Send any request and return the content of its reply."""
        message = self.client.session.msg(msg_type, content)
        if subshell_id is not None:
            message["header"]["subshell_id"] = subshell_id
        sender = self.client.shell_channel if channel == "shell" else self.client.control_channel
        sender.send(message)
        return self.reply(message["header"]["msg_id"], channel)

    def run_beside(self, code: str) -> None:
        """Run code on a subshell, while a cell runs on the main shell.

        When this returns, the interpreter has received all that was sent on the shell channel before.
        """
        content = {"subshell_id": self.request("create_subshell_request", {}, "control")["subshell_id"]}
        execution = {"code": code, "silent": True}
        assert self.request("execute_request", execution, "shell", content["subshell_id"])["status"] == "ok"
        assert self.request("delete_subshell_request", content, "control")["status"] == "ok"

    def reply(self, msg_id: str, channel: str = "shell") -> dict[str, Any]:
        """Wait for the reply to a request, and return its content."""
        receiver = self.client.shell_channel if channel == "shell" else self.client.control_channel
        deadline = time.monotonic() + DEADLINE
        while msg_id not in self._replies:
            reply = receiver.get_msg(timeout=max(0.0, deadline - time.monotonic()))
            self._replies[reply["parent_header"].get("msg_id")] = reply["content"]
        return self._replies.pop(msg_id)

    def next_output(self, msg_type: str, timeout: float = DEADLINE) -> dict[str, Any]:
        """Return the next message of a type on iopub, of any request. Raises queue.Empty."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
            if message["msg_type"] == msg_type:
                return dict(message)

    def await_text(self, text: str) -> str:
        """Wait for this text on a stream, and nothing else. Return the id of the request that printed it.

        It may come in pieces: the end of a text that may begin a secret is held back for a moment.
        """
        printed = ""
        while printed != text:
            message = self.next_output("stream")
            printed += message["content"]["text"]
            assert text.startswith(printed)
        return str(message["parent_header"]["msg_id"])

    def interrupt_when_printed(self, code: str, pause: float = 0.0) -> tuple[Answer, float]:
        """Run code that prints, and interrupt it then. Return its answer and the seconds until it stopped.

        pause: seconds to wait before the interrupt.
        """
        return self.interrupt_when("stream", code, pause)

    def interrupt_when(self, msg_type: str, code: str, pause: float = 0.0) -> tuple[Answer, float]:
        """Run code and interrupt it at its first message of a type; see interrupt_when_printed."""
        interrupted = 0.0

        def on_message(message: dict[str, Any]) -> None:
            nonlocal interrupted
            if message["msg_type"] == msg_type and not interrupted:
                time.sleep(pause)
                interrupted = time.monotonic()
                # Without waiting for the reply, the interrupt could arrive during the next cell.
                assert self.request("interrupt_request", {}, "control")["status"] == "ok"

        answer = self.run(code, on_message)
        return answer, time.monotonic() - interrupted

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel()
        self.manager.cleanup_resources()


@contextmanager
def running_kernel(
    name: str = "daytona", cwd: Path | str | None = None, **environment: str
) -> Iterator[Driver]:
    with run_kernel(KernelManager(kernel_name=name), cwd, **environment) as driver:
        yield driver


@contextmanager
def run_kernel(
    manager: KernelManager,
    cwd: Path | str | None = None,
    options: Sequence[str] = (),
    **environment: str,
) -> Iterator[Driver]:
    """Run the kernel of a manager that has not started it. options: words for its command line."""
    name = manager.kernel_name
    _choose_ports(manager)
    # If this variable announces pytest, ipykernel does not capture the file descriptors 1 and 2.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    # ipykernel runs cells in its own process, where the variable would change what they print.
    shown = SHOW_WARNINGS if name == "daytona" else {}
    with tempfile.TemporaryFile("w+") as log:
        manager.start_kernel(
            env={**inherited, **shown, **environment},
            cwd=cwd and str(cwd),
            stderr=log,
            extra_arguments=list(options),
        )
        driver = None
        try:
            driver = Driver(manager)
            yield driver
        finally:
            if driver is not None:
                driver.close()
            else:
                sys.stderr.write(_holders_of_ports(manager))
                manager.shutdown_kernel(now=True)
            log.seek(0)
            printed = log.read()
            sys.stderr.write(printed)
        assert not shown or warnings_in(printed) == []


def _choose_ports(manager: KernelManager) -> None:
    """Give a kernel ports that no other process of tests gets.

    jupyter_client chooses ports that are free at the moment. Before the kernel binds one, the system can give
    it to any program that connects.
    """
    manager.cache_ports = False
    for channel in _CHANNELS:
        setattr(manager, f"{channel}_port", next(filter(_is_free, _PORTS)))


def _holders_of_ports(manager: KernelManager) -> str:
    """Return the sockets at the ports of a kernel that did not start, with their processes."""
    ports = [getattr(manager, f"{channel}_port") for channel in _CHANNELS]
    found = [each for each in psutil.net_connections("tcp") if each.laddr and each.laddr.port in ports]
    words = {process.pid: words_of(process) for process in psutil.process_iter()} if found else {}
    return "".join(f"{each.laddr} {each.status} {words.get(each.pid or 0)}\n" for each in found)


def words_of(process: psutil.Process) -> list[str]:
    """Return the command line of a process; none for one that has ended."""
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def wait_until(condition: Callable[[], bool], seconds: float = 10.0, what: str = "") -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what or "the condition did not come true in time"
        time.sleep(0.02)


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended, also if nobody has asked for its status yet."""
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def processes_of(driver: Driver) -> list[psutil.Process]:
    """Return the kernel, its embedded server, and everything that runs in its sandbox."""
    kernel = psutil.Process(driver.pid)
    return [kernel, *kernel.children(recursive=True)]


def sleeps_of(driver: Driver) -> list[psutil.Process]:
    """Return the `sleep` commands that run in the sandbox."""
    found = []
    for process in processes_of(driver):
        with suppress(psutil.NoSuchProcess):  # it ends at this moment
            if process.name() == "sleep" and not has_ended(process):
                found.append(process)
    return found


__all__ = [
    "DEADLINE",
    "Answer",
    "Driver",
    "Empty",
    "has_ended",
    "processes_of",
    "run_kernel",
    "running_kernel",
    "sleeps_of",
    "wait_until",
]
