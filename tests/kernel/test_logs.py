"""Live logs under load: few messages, bounded memory, every byte, and cells that still run."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
import pytest
from jupyter_core.utils import ensure_async
from nbclient import NotebookClient

from tests.views.pages import Page, SandboxKernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# The kernel's memory for a log: its buffer, a batch, and pieces of a download.
MEGABYTES_A_LOG = 24


@pytest.fixture(scope="module")
def kernel() -> Iterator[SandboxKernel]:
    running = SandboxKernel()
    yield running
    running.close()


def memory(kernel: SandboxKernel) -> float:
    """Return the memory of the kernel's process, in MB."""
    used: float = psutil.Process(kernel.manager.provisioner.pid).memory_full_info().pss / 1e6
    return used


def check_cells(kernel: SandboxKernel) -> None:
    """Check that cells run beside a flood. `benchmarks/logs.py` measures how fast they are."""
    for number in range(10):
        assert kernel.execute(f"{number} + 1") == str(number + 1)


def check_messages(kernel: SandboxKernel, page: Page, seconds: float) -> None:
    """Check that a flood sends about ten messages a second at most, and no large ones."""
    is_batch = page.is_custom("lines")
    batches = [message for message in kernel.listen(seconds) if is_batch(message)]
    assert len(batches) <= seconds * 10 + 2
    assert all(len(str(message["content"])) < 200_000 for message in batches)


def digest_of(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


FLOODS: dict[str, tuple[str, Callable[[], Iterable[bytes]]]] = {
    "1,000,000 lines": ("seq 1 1000000", lambda: (b"%d\n" % n for n in range(1, 1_000_001))),
    "one line of 50 MB": (
        "head -c 50000000 /dev/zero | tr '\\0' x; echo",
        lambda: itertools.chain(itertools.repeat(b"x" * 50_000, 1000), [b"\n"]),
    ),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_that_ends_is_complete(kernel: SandboxKernel, name: str) -> None:
    command, content = FLOODS[name]
    before = memory(kernel)
    since = len(kernel.seen)
    page = kernel.follow(f"{command}; read", name=f"flood{since}")
    whole = sum(map(len, content()))
    page.wait("lines", lambda batch: batch["bytes"] == whole, timeout=60, since=since)
    own = [message for message in kernel.seen[since:] if page.is_custom("lines")(message)]
    assert len(own) <= 10 * (own[-1]["arrived"] - own[0]["arrived"]) + 5
    assert digest_of(page.download()) == digest_of(content())
    assert memory(kernel) - before < MEGABYTES_A_LOG
    page.send({"type": "input", "text": "\n"})
    final = page.final(60)
    assert "exited" in final["text/plain"]
    assert sum(map(len, final.values())) < 600_000


@pytest.mark.parametrize("command", ["yes", "while :; do printf '\\rdone %d' $((i++)); sleep 0.001; done"])
def test_a_flood_that_is_stopped(kernel: SandboxKernel, command: str) -> None:
    before = memory(kernel)
    page = kernel.follow(command, name=f"endless{len(kernel.seen)}")
    check_cells(kernel)
    check_messages(kernel, page, 2)
    assert memory(kernel) - before < MEGABYTES_A_LOG
    page.send({"type": "stop"})
    assert "stopped" in page.final(30)["text/plain"]


def test_twenty_logs_at_once(kernel: SandboxKernel) -> None:
    before = memory(kernel)
    command = "while :; do seq 1 200; sleep 0.1; done"
    pages = [kernel.follow(command, name=f"twenty{number}") for number in range(20)]
    check_cells(kernel)
    messages = kernel.listen(2)
    for page in pages:
        is_batch = page.is_custom("lines")
        assert 1 <= len([message for message in messages if is_batch(message)]) <= 2 * 10 + 2
    assert memory(kernel) - before < 20 * MEGABYTES_A_LOG
    for page in pages:
        page.send({"type": "stop"})
    for page in pages:
        assert "stopped" in page.final(60)["text/plain"]
    assert set(kernel.execute("%sh ps -e -o comm= 2>/dev/null || true").split()) & {"seq"} == set()


def executed(command: str, until: str) -> dict[str, str]:
    """Run a command in a notebook as CI does, until its output contains a text; return the output's bundle.

    The next cell waits for it, because nbclient ignores an update that comes while no cell runs.
    """
    wait = "import time\ntry:\n    time.sleep(100)\nexcept KeyboardInterrupt:\n    pass"
    sources = ("%session create s", f"job = %session run s --async {command}", wait, "1 + 1")
    cells = [nbformat.v4.new_code_cell(source) for source in sources]

    class Client(NotebookClient):
        """A client that interrupts the waiting cell."""

        def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
            assert self.km is not None
            if msg["msg_type"] == "update_display_data" and until in msg["content"]["data"]["text/plain"]:
                self.interruption = asyncio.ensure_future(ensure_async(self.km.interrupt_kernel()))
            return super().process_message(msg, cell, cell_index)

    Client(nbformat.v4.new_notebook(cells=cells), kernel_name="daytona", timeout=110).execute()
    bundle: dict[str, str]
    (bundle,) = [output.data for output in cells[1].outputs if "data" in output]
    return bundle


def test_nbclient_keeps_the_final_log() -> None:
    bundle = executed("echo hello; sleep 0.5; exit 2", until="exited 2")
    assert set(bundle) == {"text/html", "text/plain"}
    assert "hello" in bundle["text/html"]


def test_nbclient_keeps_the_last_saved_log_of_a_command_that_still_runs() -> None:
    bundle = executed("for i in $(seq 900); do echo line $i; sleep 0.5; done", until="line 2")
    assert set(bundle) == {"text/html", "text/plain"}
    assert "still running" in bundle["text/plain"]
    assert "line 2" in bundle["text/html"]
