"""Live logs of the sandbox under load: few messages, bounded memory, every byte, and cells that go on."""

from __future__ import annotations

import hashlib
import itertools
import statistics
import time
from typing import TYPE_CHECKING

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from tests.views.pages import Page, SandboxKernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What a log may cost the kernel: its window, the batch on its way, and pieces of a download.
MEGABYTES_A_LOG = 24


@pytest.fixture(scope="module")
def kernel() -> Iterator[SandboxKernel]:
    running = SandboxKernel()
    yield running
    running.close()


def memory(kernel: SandboxKernel) -> float:
    """The kernel's process, in MB."""
    return psutil.Process(kernel.manager.provisioner.pid).memory_full_info().pss / 1e6


def median_cell(kernel: SandboxKernel, count: int = 25) -> float:
    """The median seconds of an empty cell."""
    times = []
    for _ in range(count):
        begun = time.monotonic()
        kernel.execute("")
        times.append(time.monotonic() - begun)
    return statistics.median(times)


def check_messages(kernel: SandboxKernel, page: Page, seconds: float) -> None:
    """Listen to a flood: about ten messages a second at most, none of them large."""
    is_batch = page.is_custom("lines")
    batches = [message for message in kernel.listen(seconds) if is_batch(message)]
    assert len(batches) <= seconds * 10 + 2
    assert all(len(str(message["content"])) < 200_000 for message in batches)


def digest_of(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


FLOODS = {
    "1,000,000 lines": ("seq 1 1000000", lambda: (b"%d\n" % n for n in range(1, 1_000_001))),
    "one line of 50 MB": (
        "head -c 50000000 /dev/zero | tr '\\0' x",
        lambda: itertools.repeat(b"x" * 50_000, 1000),
    ),
}


@pytest.mark.parametrize("name", FLOODS)
def test_nothing_is_lost_of_a_flood_that_ends(kernel: SandboxKernel, name: str) -> None:
    command, content = FLOODS[name]
    before = memory(kernel)
    begun = len(kernel.seen)
    page = kernel.follow(f"{command}; read", name=f"flood{begun}")
    whole = sum(map(len, content()))
    page.wait("lines", lambda batch: batch["bytes"] == whole, timeout=60, begun=begun)
    own = [message for message in kernel.seen[begun:] if page.is_custom("lines")(message)]
    assert len(own) <= 10 * (own[-1]["arrived"] - own[0]["arrived"]) + 5
    assert digest_of(page.download()) == digest_of(content())
    assert memory(kernel) - before < MEGABYTES_A_LOG
    page.send({"type": "input", "text": "\n"})
    final = page.final(60)
    assert "exited" in final["text/plain"]
    assert sum(map(len, final.values())) < 600_000


@pytest.mark.parametrize("command", ["yes", "while :; do printf '\\rdone %d' $((i++)); sleep 0.001; done"])
def test_a_flood_that_is_stopped(kernel: SandboxKernel, command: str) -> None:
    idle = median_cell(kernel)
    before = memory(kernel)
    page = kernel.follow(command, name=f"endless{len(kernel.seen)}")
    busy = median_cell(kernel)
    check_messages(kernel, page, 3)
    print(f"{command}: an empty cell {busy * 1000:.1f} ms, idle {idle * 1000:.1f} ms")
    # The ratio is for benchmarks/logs.py; this is for a kernel that hangs.
    assert busy < max(4 * idle, 0.2)
    assert memory(kernel) - before < MEGABYTES_A_LOG
    page.send({"type": "stop"})
    assert "stopped" in page.final(30)["text/plain"]


def test_twenty_logs_at_once(kernel: SandboxKernel) -> None:
    idle = median_cell(kernel)
    before = memory(kernel)
    command = "while :; do seq 1 200; sleep 0.1; done"
    pages = [kernel.follow(command, name=f"twenty{number}") for number in range(20)]
    busy = median_cell(kernel)
    messages = kernel.listen(4)
    for page in pages:
        is_batch = page.is_custom("lines")
        assert 1 <= len([message for message in messages if is_batch(message)]) <= 4 * 10 + 2
    used = memory(kernel) - before
    print(f"20 logs: an empty cell {busy * 1000:.1f} ms, idle {idle * 1000:.1f} ms, {used:.0f} MB")
    assert busy < max(6 * idle, 0.2)
    assert used < 20 * MEGABYTES_A_LOG
    for page in pages:
        page.send({"type": "stop"})
    for page in pages:
        assert "stopped" in page.final(60)["text/plain"]
    assert set(kernel.execute("%sh ps -e -o comm= 2>/dev/null || true").split()) & {"seq"} == set()


def test_a_line_is_in_the_pages_message_soon(kernel: SandboxKernel) -> None:
    page = kernel.follow("for i in $(seq 40); do date +%s.%N; sleep 0.05; done", name="clock")
    page.wait("lines", lambda batch: batch["state"] != "running", timeout=60)
    offset = time.time() - time.monotonic()
    is_batch = page.is_custom("lines")
    delays = [
        message["arrived"] + offset - float(line)
        for message in kernel.seen[page.begun :]
        if is_batch(message) and "to" not in message["content"]["data"]["content"]
        for line in message["content"]["data"]["content"]["lines"]
    ]
    print(f"a line is in a message after {statistics.median(delays) * 1000:.0f} ms")
    assert len(delays) >= 30
    assert statistics.median(delays) < 0.15


def executed(*sources: str) -> list[dict[str, str]]:
    """Run a notebook as CI does; return the bundles that the outputs of its second cell hold."""
    cells = [nbformat.v4.new_code_cell(source) for source in ("%session create s", *sources)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="daytona", timeout=120).execute()
    return [output.data for output in cells[1].outputs if "data" in output]


# The log takes the view's place under the cell that is running when the command ends.
WAIT_FOR_END = """
import time
from IPython.utils.capture import capture_output
said = None
while said is None or "exited" not in said.stdout:
    with capture_output() as said:
        get_ipython().run_line_magic("session", f"command s {job}")
    time.sleep(0.2)
time.sleep(3)
"""


def test_nbclient_keeps_the_final_log() -> None:
    (bundle,) = executed(
        "job = %session run s --async echo hello; sleep 0.5; exit 2",
        WAIT_FOR_END,
    )
    assert set(bundle) == {"text/html", "text/plain"}
    assert "exited 2" in bundle["text/plain"]
    assert "hello" in bundle["text/html"]


def test_nbclient_keeps_the_last_snapshot_of_a_command_that_runs_on() -> None:
    (bundle,) = executed(
        "job = %session run s --async for i in $(seq 900); do echo line $i; sleep 0.5; done",
        "import time; time.sleep(8)",
        "1 + 1",
    )
    assert set(bundle) == {"text/html", "text/plain"}
    assert "still running" in bundle["text/plain"]
    assert "line 2" in bundle["text/html"]
