"""A log display in a real kernel, and pages that show it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel.views import WIDGET_MIME_TYPE, log_display
from daytona_kernel.views.log_display import LogDisplay
from daytona_kernel.wire.logs import LogChunk, Stream
from tests.views.pages import Kernel, Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SAVED = {"text/html", "text/plain"}


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
        ["last", [4, "fc2"], 0],
    )
    final = page.final()
    assert set(page.bundles()[0]) == {WIDGET_MIME_TYPE, *SAVED}
    assert set(final) == SAVED
    heading, *lines = final["text/plain"].split("\n")
    assert "exited 3" in heading
    assert lines == ["one", "got my words", "last"]


def test_late_pages_agree_with_early_ones(kernel: Kernel) -> None:
    page = kernel.follow("seq 1 300; read; echo more; read")
    page.wait("lines", lambda b: b["count"] == 300)
    late = Page(kernel, page.model, page.since, present=False)
    answer = late.ask("lines", {"type": "read", "since": 0})
    assert (answer["first"], answer["lines"]) == (0, [str(n) for n in range(1, 301)])
    answer = late.ask("lines", {"type": "read", "since": 0, "before": 10})
    assert (answer["first"], answer["before"], len(answer["lines"])) == (0, 10, 10)
    answer = late.ask("bundle", {"type": "bundle"})
    assert answer["state"] == "running"
    assert set(answer["bundle"]) == SAVED
    assert answer["bundle"]["text/plain"].endswith("\n299\n300")
    page.send({"type": "input", "text": "\n"})
    assert late.wait("lines", lambda b: b["lines"] == ["more"])["first"] == 300
    page.send({"type": "input", "text": "\n"})
    final = page.final()
    after = Page(kernel, page.model, page.since, present=False)
    assert after.ask("lines", {"type": "read", "since": 299})["lines"] == ["300", "more"]
    answer = after.ask("bundle", {"type": "bundle"})
    assert (answer["bundle"], answer["state"]) == (final, "exited")


def test_a_page_that_is_late_gets_its_view_back(kernel: Kernel) -> None:
    page = kernel.follow("echo up; read", present=False)

    def own(message: dict[str, Any]) -> bool:
        if message["msg_type"] != "update_display_data":
            return False
        return bool(message["content"]["transient"]["display_id"] == page.display_id)

    saved = kernel.wait(own, since=page.since)
    assert set(saved["content"]["data"]) == SAVED
    # If no page answers, Jupyter may lack the widgets.
    assert "install ipywidgets and anywidget" in saved["content"]["data"]["text/html"]
    since = len(kernel.seen)
    page.send({"type": "present"})
    assert set(kernel.wait(own, since=since)["content"]["data"]) == {WIDGET_MIME_TYPE, *SAVED}
    page.send({"type": "read", "since": 0})
    assert page.wait("lines", lambda b: b["lines"])["lines"] == ["up"]
    page.send({"type": "input", "text": "\n"})
    assert "anywidget" not in page.final()["text/html"]
    assert set(page.bundles()[-1]) == SAVED


def test_stopping(kernel: Kernel) -> None:
    page = kernel.follow("echo up; read")
    page.wait("lines", lambda b: b["lines"])
    page.send({"type": "stop"})
    assert "stopped" in page.final()["text/plain"]


@pytest.mark.anyio
async def test_the_reader_of_a_stopped_log_does_not_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_display, "_REST_PER_WORK", 1e6)

    async def flood() -> AsyncIterator[LogChunk]:
        for _ in range(20):
            yield LogChunk(Stream.STDOUT, b"y\n" * 32_768)

    async def code() -> int:
        return 130

    display = LogDisplay(
        flood(),
        command="yes",
        session="s",
        publish=lambda *_: None,
        stop=code,  # type: ignore[arg-type]
        send_input=code,  # type: ignore[arg-type]
        download=flood,  # type: ignore[arg-type]
        exit_code=code,
        was_stopped=lambda: True,
    )
    await asyncio.wait_for(display.run(), 60)
    assert (display.state, display.exit_status) == ("stopped", 130)


def test_an_error_is_shown(kernel: Kernel) -> None:
    page = kernel.follow("echo up; read")
    page.wait("lines", lambda b: b["lines"])
    kernel.execute("c.failure = OSError('the sandbox is away')")
    for message in ({"type": "stop"}, {"type": "input", "text": "x\n"}):
        since = len(kernel.seen)
        page.send(message)
        assert page.wait("notice", since=since)["text"] == "The sandbox is away"
    kernel.execute("c.failure = None")
    page.send({"type": "stop"})
    page.final()


def test_a_log_that_is_no_longer_followed_gives_the_reason(kernel: Kernel) -> None:
    page = kernel.follow("echo up; read")
    page.wait("lines", lambda b: b["lines"])
    kernel.execute("c.task.cancel()")
    final = page.final()
    assert set(final) == SAVED
    assert "no longer followed: the kernel stopped following it" in final["text/plain"]
    assert final["text/plain"].endswith("\nup")
    kernel.execute("await c.stop()")


def test_download_is_the_whole_log(kernel: Kernel) -> None:
    """The log is much larger than the buffer. A piece can be read twice."""
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


def test_views_of_older_logs_are_closed_when_many_have_ended(kernel: Kernel) -> None:
    page = kernel.follow("echo first")
    page.final()
    kernel.execute("more = [FollowedCommand('true') for _ in range(16)]")

    def closes(message: dict[str, Any]) -> bool:
        return message["msg_type"] == "comm_close" and bool(message["content"]["comm_id"] == page.model)

    kernel.wait(closes, since=page.since)
    assert int(kernel.execute("len(__import__('ipywidgets').widgets.widget._instances)")) <= 16
