"""The surroundings of one cell of the matrix: a kernel, its server, and the network between them."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from jupyter_client.manager import KernelManager

from daytona_kernel import Daytona
from tests.kernel.driver import DEADLINE, Answer, Driver, Empty, wait_until, words_of
from tests.served import config, serving

from .proxy import FaultProxy, fault_proxy

if TYPE_CHECKING:
    from collections.abc import Callable

# Bounds of minutes are these seconds for the kernels of the matrix.
WAIT_LIMIT = "6"
# On a busy machine, another process may need as long to delete a sandbox.
_GONE_SECONDS = 60.0
_WARM_BOX = ("supervisor.py", "slirp4netns")


class Running:
    """A cell that was sent. answer: its messages so far.

    msg_id: of a cell that was sent already.
    """

    def __init__(self, world: World, code: str = "", msg_id: str = "", **options: Any) -> None:
        self._world = world
        self.msg_id = msg_id or world.driver.send(code, **options)
        self.answer = Answer()
        self._idle = False

    def wait(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = DEADLINE) -> None:
        """Take messages until one is wanted. Those of other cells and views are looked at, too."""
        deadline = time.monotonic() + seconds
        while not wanted(self._next(deadline - time.monotonic())):
            pass

    def end(self) -> Answer:
        """Wait for the end of the cell; return all of it. After a crash, its reply is the old kernel's."""
        if not self._idle:
            self.wait(lambda _message: self._idle)
        if not self._world.has_crashed:
            self.answer.reply = self._world.driver.reply(self.msg_id)
        return self.answer

    def _next(self, seconds: float) -> dict[str, Any]:
        while True:
            try:
                message = dict(self._world.driver.client.get_iopub_msg(timeout=max(0.0, seconds)))
                break
            except ValueError as error:  # what a crashed kernel had published may come again
                assert self._world.has_crashed
                assert "Duplicate Signature" in str(error)  # noqa: PT017 - the next message may be new
        self._world.on_message(message)
        if message["parent_header"].get("msg_id") == self.msg_id:
            self.answer.messages.append(message)
            self._idle = self._idle or message["content"].get("execution_state") == "idle"
        return message


class World:
    """A kernel with a server of its own.

    stack: what ends with the world. directory: where its programs keep their files.
    has_crashed: whether a kernel was replaced while a cell ran.
    on_message: called with each message on iopub.
    stopped: the process that a fault has stopped.
    """

    on_message: Callable[[dict[str, Any]], object]

    def __init__(self) -> None:
        self.has_crashed = False
        self.stack = ExitStack()
        self.directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        self._seen: set[psutil.Process] = set()
        self.manager: KernelManager | None = None
        self.stopped: psutil.Process | None = None
        self.on_message = lambda _message: None

    def environment(self) -> dict[str, str]:
        return {"DAYTONA_KERNEL_WAIT_LIMIT": WAIT_LIMIT, "TMPDIR": str(self.directory)}

    def make_manager(self) -> KernelManager:
        return KernelManager(kernel_name="daytona")

    def start_kernel(self) -> None:
        """Start a kernel, and do not wait for it."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        self.has_crashed = self._is_connected = False
        self.manager = self.make_manager()
        self._log = log = self.stack.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115 - the stack closes it
        environment = {**inherited, **self.environment()}
        self.manager.start_kernel(env=environment, cwd=str(self.directory), stderr=log)

    def connect(self) -> None:
        """Wait until the kernel answers."""
        assert self.manager is not None
        self.driver = Driver(self.manager)
        self._is_connected = True

    def start(self) -> None:
        """Start a kernel, and run its first cell."""
        self.start_kernel()
        self.connect()
        # On a busy machine, a kernel with short bounds may need several cells.
        wait_until(lambda: self.driver.run("1 + 1").reply["status"] == "ok", DEADLINE)

    def crash(self) -> None:
        """Kill the kernel, and start another in its place. The client keeps its sockets."""
        assert self.manager is not None
        self.has_crashed = True
        os.kill(self.kernel.pid, signal.SIGKILL)
        self.manager.restart_kernel(now=True)

    @property
    def kernel(self) -> psutil.Process:
        assert self.manager is not None
        provisioner: Any = self.manager.provisioner
        return psutil.Process(provisioner.pid)

    def processes(self) -> list[psutil.Process]:
        """Return the kernel and everything below it, and remember all of it for `close`."""
        found = [self.kernel, *self.kernel.children(recursive=True)]
        self._seen.update(found)
        return found

    def await_creation(self) -> None:
        """Wait until the sandbox is being made."""
        wait_until(lambda: self.find("server") is not None, DEADLINE)

    def await_launch(self) -> None:
        """Wait until the agent has started, and its interpreter has not."""
        self.await_process("agent")

    def await_request(self, words: str) -> None:
        """Wait until a request with these words was sent, where requests can be seen."""

    def await_command(self, word: str) -> None:
        """Wait until a process of the sandbox has this word in its command line."""
        wait_until(lambda: any(word in words_of(each) for each in self.processes()), DEADLINE, word)

    def find(self, role: str) -> psutil.Process | None:
        """Return the process with a role: kernel, server, supervisor, agent or interpreter."""
        if role == "kernel":
            return self.kernel
        agent = None
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                words = process.cmdline()
                if role == "server" and "daytona_kernel.server" in words:
                    return process
                is_agent = any(".pyz" in word for word in words) and "python" in Path(words[0]).name
                if is_agent and role == "interpreter" and "interpreter" in words:
                    return process
                if is_agent and "interpreter" not in words:
                    agent = process
        if agent is None or role == "agent":
            return agent
        with suppress(psutil.NoSuchProcess):
            for parent in agent.parents():
                if role == "supervisor" and any(word.endswith("supervisor.py") for word in parent.cmdline()):
                    return parent
        return None

    def await_process(self, role: str) -> psutil.Process:
        wait_until(lambda: self.find(role) is not None, DEADLINE, f"there is no {role}")
        found = self.find(role)
        assert found is not None
        return found

    def close(self) -> None:
        """Shut the kernel down, and check that nothing is left of it."""
        try:
            self.end_kernel()
        finally:
            self.stack.close()

    def shut_down(self) -> None:
        """Shut the kernel down, as a front end does."""
        assert self.manager is not None
        provisioner: Any = self.manager.provisioner
        with suppress(psutil.NoSuchProcess):
            kernel = psutil.Process(provisioner.pid)
            self._seen.update([kernel, *kernel.children(recursive=True)])
        if self._is_connected:
            self.driver.client.stop_channels()
        self.manager.shutdown_kernel()
        self.manager.cleanup_resources()
        self._log.seek(0)
        sys.stderr.write(self._log.read())

    def end_kernel(self) -> None:
        """Shut the kernel down, unless it is, and check that nothing is left of it."""
        if self.manager is None:
            return
        manager = self.manager
        connection_file = Path(manager.connection_file)
        try:
            if manager.has_kernel:
                self.shut_down()
            _, left = psutil.wait_procs(self._seen, timeout=_GONE_SECONDS)
            assert not left, f"these processes are left: {[process.cmdline() for process in left]}"
            wait_until(lambda: not self.leftovers(), _GONE_SECONDS, f"{self.leftovers()} is left")
            assert not list(connection_file.parent.glob(f"*{connection_file.stem}*"))
        finally:
            self.manager = None
            for process in self._seen:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self._seen.clear()

    def leftovers(self) -> list[str]:
        """Return the names of what the kernel has left: files, directories, sandboxes."""
        return [path.name for path in self.directory.iterdir() if path.name not in self.kept]

    kept: frozenset[str] = frozenset({"data"})

    def upload_source(self) -> Path:
        """Return a file to upload."""
        path = self.directory / "data"
        if not path.exists():
            path.write_bytes(bytes(64_000_000))
        return path


class NetworkWorld(World):
    """A kernel whose server is elsewhere: `daytona-kernel serve`, behind a proxy that fails."""

    kept = frozenset({"data", "served"})

    def __init__(self) -> None:
        super().__init__()
        root = self.directory / "served"
        self._served = self.stack.enter_context(serving(root))
        (self._server,) = (child for child in psutil.Process().children() if str(root) in words_of(child))
        self.proxy: FaultProxy = self.stack.enter_context(fault_proxy(self._served["DAYTONA_API_URL"]))

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self._served, "DAYTONA_API_URL": self.proxy.url}

    def start_kernel(self) -> None:
        self.proxy.requests.clear()
        super().start_kernel()

    def await_creation(self) -> None:
        self.await_request("POST /api/sandbox ")

    def await_launch(self) -> None:
        self.await_request("/exec ")

    def processes(self) -> list[psutil.Process]:
        return [*super().processes(), *self._server.children(recursive=True)]

    def await_request(self, words: str) -> None:
        wait_until(lambda: any(words in line for line in self.proxy.requests), DEADLINE, words)

    def sandboxes(self) -> list[Any]:
        """Return all sandboxes of the server as they are now."""
        with self.client() as daytona:
            return list(daytona.list())

    def client(self) -> Daytona:
        """Return a client of the server, past the proxy."""
        return Daytona(config(self._served))

    def leftovers(self) -> list[str]:
        running = [" ".join(words_of(process)) for process in self._server.children(recursive=True)]
        # The box for the next sandbox waits there.
        own = [words for words in running if words and not any(word in words for word in _WARM_BOX)]
        return [*super().leftovers(), *own, *(sandbox.name for sandbox in self.sandboxes())]


__all__ = ["Empty", "NetworkWorld", "Running", "World"]
