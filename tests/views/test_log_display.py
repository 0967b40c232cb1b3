"""A display in a real kernel, seen by pages that count its messages."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.views.pages import PREPARE, WIDGET, Kernel, Page

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLLOWED = {"text/html", "text/plain"}


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    running = Kernel()
    yield running
    running.close()


def test_a_log_from_its_first_line_to_its_final_bundle(kernel: Kernel) -> None:
    page = kernel.follow("echo one; read line; echo got $line >&2; printf '\\033[32mlast'; exit 3")
    batch = page.wait("lines", lambda b: b["lines"])
    assert batch["lines"] == ["one"]
    assert (batch["first"], batch["count"], batch["bytes"]) == (0, 1, 4)
    page.send({"type": "input", "text": "my words\n"})
    batch = page.wait("lines", lambda b: b["count"] == 3)
    assert (batch["lines"], batch["last"]) == (
        [["got my words", [12, "e"], 0]],
        ["last", [4, "f2"], 0],
    )
    final = page.final()
    assert set(page.bundles()[0]) == {WIDGET, *FOLLOWED}
    assert set(final) == FOLLOWED
    heading, *lines = final["text/plain"].split("\n")
    assert "exited 3" in heading
    assert lines == ["one", "got my words", "last"]


def test_a_first_line_is_seen_at_once(kernel: Kernel) -> None:
    page = kernel.follow("read; echo now; read")
    kernel.listen(0.3)
    sent = time.monotonic()
    page.send({"type": "input", "text": "\n"})
    page.wait("lines", lambda b: b["lines"])
    assert time.monotonic() - sent < 0.2
    page.send({"type": "input", "text": "\n"})
    page.final()


def test_late_pages_agree_with_early_ones(kernel: Kernel) -> None:
    page = kernel.follow("seq 1 300; read; echo more; read")
    page.wait("lines", lambda b: b["count"] == 300)
    late = Page(kernel, page.model, page.begun, present=False)
    answer = late.ask("lines", {"type": "read", "since": 0})
    assert (answer["first"], answer["lines"]) == (0, [str(n) for n in range(1, 301)])
    answer = late.ask("lines", {"type": "read", "since": 0, "before": 10})
    assert (answer["first"], answer["before"], len(answer["lines"])) == (0, 10, 10)
    answer = late.ask("bundle", {"type": "bundle"})
    assert answer["state"] == "running"
    assert set(answer["bundle"]) == FOLLOWED
    assert answer["bundle"]["text/plain"].endswith("\n299\n300")
    page.send({"type": "input", "text": "\n"})
    assert late.wait("lines", lambda b: b["lines"] == ["more"])["first"] == 300
    page.send({"type": "input", "text": "\n"})
    final = page.final()
    after = Page(kernel, page.model, page.begun, present=False)
    assert after.ask("lines", {"type": "read", "since": 299})["lines"] == ["300", "more"]
    answer = after.ask("bundle", {"type": "bundle"})
    assert (answer["bundle"], answer["state"]) == (final, "exited")


def test_a_page_that_is_late_gets_its_view_back(kernel: Kernel) -> None:
    page = kernel.follow("echo up; read", present=False)

    def own(message: dict[str, Any]) -> bool:
        return (
            message["msg_type"] == "update_display_data"
            and message["content"]["transient"]["display_id"] == page.display_id
        )

    snapshot = kernel.wait(own, begun=page.begun)
    assert set(snapshot["content"]["data"]) == FOLLOWED
    begun = len(kernel.seen)
    page.send({"type": "present"})
    assert set(kernel.wait(own, begun=begun)["content"]["data"]) == {WIDGET, *FOLLOWED}
    page.send({"type": "read", "since": 0})
    assert page.wait("lines", lambda b: b["lines"])["lines"] == ["up"]
    page.send({"type": "input", "text": "\n"})
    page.final()
    assert set(page.bundles()[-1]) == FOLLOWED


def test_stopping(kernel: Kernel) -> None:
    page = kernel.follow("echo up; read")
    page.wait("lines", lambda b: b["lines"])
    page.send({"type": "stop"})
    assert "stopped" in page.final()["text/plain"]


def test_what_goes_wrong_is_shown(kernel: Kernel) -> None:
    page = kernel.follow("echo up; read")
    page.wait("lines", lambda b: b["lines"])
    kernel.execute(
        "async def fail(*_): raise OSError('the sandbox is away')\n"
        "stop, c.display._stop, c.display._send_input = c.display._stop, fail, fail"
    )
    for message in ({"type": "stop"}, {"type": "input", "text": "x\n"}):
        begun = len(kernel.seen)
        page.send(message)
        assert page.wait("notice", begun=begun)["text"] == "The sandbox is away"
    kernel.execute("c.display._stop = stop")
    page.send({"type": "stop"})
    page.final()


def test_a_log_that_cannot_be_followed_any_more_says_why(kernel: Kernel) -> None:
    page = kernel.follow("echo up; read")
    page.wait("lines", lambda b: b["lines"])
    kernel.execute("c.task.cancel()")
    final = page.final()
    assert set(final) == FOLLOWED
    assert "no longer followed: the kernel stopped following it" in final["text/plain"]
    assert final["text/plain"].endswith("\nup")
    kernel.execute("await c._stop()")


def test_download_is_the_whole_log(kernel: Kernel) -> None:
    """Far more than the window keeps; pieces that are asked for twice come twice."""
    page = kernel.follow("seq 1 2000000; read")
    page.wait("lines", lambda b: b["count"] == 2_000_000)
    before = int(kernel.execute("import psutil; psutil.Process().memory_info().rss"))
    digest, size, piece, last = hashlib.sha256(), 0, 0, False
    while not last:
        answer = page.ask("piece", {"type": "download", "piece": piece})
        if piece % 5 == 0:
            again = page.ask("piece", {"type": "download", "piece": piece})
            assert bytes(again["buffers"][0]) == bytes(answer["buffers"][0])
        digest.update(answer["buffers"][0])
        size += len(answer["buffers"][0])
        piece, last = piece + 1, answer["last"]
    expected = "".join(f"{n}\n" for n in range(1, 2_000_001)).encode()
    assert size == len(expected)
    assert digest.digest() == hashlib.sha256(expected).digest()
    assert int(kernel.execute("psutil.Process().memory_info().rss")) - before < 12e6
    assert "interrupted" in page.ask("piece", {"type": "download", "piece": 99})["error"]
    page.send({"type": "downloaded"})
    page.send({"type": "input", "text": "\n"})
    page.final()


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        ("seq 1 1000000; cat", 1_000_000),
        ("head -c 50000000 /dev/zero | tr '\\0' x; cat", 1),
        ("yes", None),
        ("while :; do printf '\\rdone %d' $((i++)); sleep 0.001; done", 1),
    ],
    ids=["1,000,000 lines", "one line of 50 MB", "yes", "progress bar"],
)
def test_load(kernel: Kernel, command: str, lines: int | None) -> None:
    """At most ten messages a second, and a cell next to it is not noticeably slower."""
    idle = cell_latency(kernel)
    begun = len(kernel.seen)
    page = kernel.follow(command)
    is_batch = page.is_custom("lines")
    busy = cell_latency(kernel)
    # A fast machine has all of a bounded log before it listens.
    assert len([m for m in kernel.listen(3) if is_batch(m)]) <= 3 * 10 + 2
    messages = [m for m in kernel.seen[begun:] if is_batch(m)]
    assert messages
    assert max(len(str(m["content"])) for m in messages) < 200_000
    assert busy < max(2 * idle, 0.1)
    if lines is not None:
        page.wait("lines", lambda b: b["count"] == lines, begun=begun)
    page.send({"type": "stop"})
    final = page.final()
    assert sum(map(len, final.values())) < 600_000


def cell_latency(kernel: Kernel) -> float:
    """The median of some round trips, in seconds."""
    times = []
    for _ in range(15):
        begun = time.monotonic()
        kernel.execute("1 + 1")
        times.append(time.monotonic() - begun)
    return sorted(times)[len(times) // 2]


def test_twenty_at_once(kernel: Kernel) -> None:
    idle = cell_latency(kernel)
    before = int(kernel.execute("import psutil; psutil.Process().memory_info().rss"))
    pages = [kernel.follow("while :; do seq 1 200; sleep 0.1; done", name=f"c{n}") for n in range(20)]
    latency = cell_latency(kernel)
    batches = kernel.listen(4)
    for page in pages:
        is_batch = page.is_custom("lines")
        assert 1 <= len([m for m in batches if is_batch(m)]) <= 4 * 10 + 2
    used = int(kernel.execute("psutil.Process().memory_info().rss")) - before
    for page in pages:
        page.send({"type": "stop"})
    for page in pages:
        page.final(30)
    print(f"20 logs: a cell {latency * 1000:.0f} ms, idle {idle * 1000:.0f} ms, {used / 20e6:.1f} MB a log")
    assert latency < max(2 * idle, 0.1)
    assert used < 20 * 24e6


def execute(*sources: str) -> list[Any]:
    """Run a notebook as CI does; return the outputs of its first cell."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].source = PREPARE + cells[0].source
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    return list(cells[0].outputs)


def test_nbclient_keeps_the_final_log() -> None:
    outputs = execute("c = FollowedCommand('echo hello; sleep 1; exit 2')", "await c.task")
    (output,) = outputs
    assert set(output.data) == FOLLOWED
    assert "exited 2" in output.data["text/plain"]
    assert "hello" in output.data["text/html"]


def test_nbclient_keeps_the_last_snapshot_of_a_command_that_runs_on() -> None:
    outputs = execute(
        "c = FollowedCommand('for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 1; done')",
        "import asyncio; await asyncio.sleep(4.5)",
        "1 + 1",
    )
    (output,) = outputs
    assert set(output.data) == FOLLOWED
    assert "still running" in output.data["text/plain"]
    assert "line 4" in output.data["text/html"]
