"""`%sandbox` and `%daytona`: a kernel that moves while cells wait for it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest

from daytona_kernel import Daytona, DaytonaConfig
from daytona_kernel.kernel.host.handover import HandoverFile
from daytona_kernel.kernel.host.kernel_sandbox import KernelSandbox
from tests.kernel.driver import Answer, Driver, running_kernel, wait_until
from tests.served import served

from .conftest import assert_fails, failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["served"]


@pytest.fixture(scope="module")
def kernel() -> Iterator[Driver]:
    """A kernel that moves between sandboxes, which no other module may share."""
    with running_kernel() as driver:
        yield driver


def shown(answer: Answer) -> str:
    (display,) = answer.contents("display_data")
    return str(display["data"]["text/plain"])


def sandbox_id(kernel: Driver) -> str:
    rows = [line for line in shown(kernel.run("%sandbox list")).splitlines() if line.startswith("*")]
    assert len(rows) == 1
    return rows[0].split()[2]


def test_info_and_daytona_show_where_the_cells_run(kernel: Driver) -> None:
    text = shown(kernel.run("%sandbox"))
    assert "deleted with the kernel" in text
    assert "after 30 min without activity" in text
    assert "24 h after it has stopped" in text
    assert "in 29 min" in text or "in 30 min" in text
    for used in ("Uses CPU", "Uses memory", "Disk of this machine"):
        assert used in text
    assert "can fill this machine's" in text or "Nothing bounds the memory" in text
    assert "GiB disk" not in text
    text = shown(kernel.run("%daytona"))
    for words in ("in the embedded server", "started", "api_key", "not set (default)"):
        assert words in text
    python = kernel.run("import sys; sys.executable").result.strip("'")
    assert python in text
    assert "pip" in text


def test_cells_behind_a_move_run_in_the_new_sandbox(kernel: Driver) -> None:
    kernel.run("x = 1; open('old', 'w').close()")
    before = sandbox_id(kernel)
    cells = [kernel.send(code) for code in ("%sandbox new", "import os; os.path.exists('old')", "x", "2")]
    move, files, variables, aborted = (kernel.collect(cell) for cell in cells)
    assert move.reply["status"] == "ok"
    assert isinstance(move.reply["execution_count"], int)
    assert "without your variables" in move.stdout
    assert "was deleted" in move.stdout
    assert files.result == "False"
    assert variables.error["ename"] == "NameError"
    assert aborted.reply["status"] == "aborted"
    assert sandbox_id(kernel) != before
    assert before not in shown(kernel.run("%sandbox list"))


@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupted_move_is_complete_or_did_not_happen(kernel: Driver, interrupts: int) -> None:
    for milliseconds in (0, 2, 5, 10, 20, 36):
        kernel.run("x = 1")
        before = sandbox_id(kernel)

        def on_message(message: dict[str, Any], pause: float = milliseconds / 1000) -> None:
            if message["msg_type"] == "execute_input":
                time.sleep(pause)
                for _ in range(interrupts):
                    kernel.request("interrupt_request", {}, "control")

        answer = kernel.run("%sandbox new", on_message)
        if answer.reply["status"] == "ok":
            assert "The cells now run in" in answer.stdout
            assert kernel.run("'x' in dir()").result == "False"
            assert sandbox_id(kernel) != before
        else:
            assert answer.reply["ename"] == "KeyboardInterrupt"
            assert kernel.run("x").result == "1"
            assert sandbox_id(kernel) == before


def test_a_stopped_sandbox_keeps_its_files_and_starts_with_the_next_cell(kernel: Driver) -> None:
    kernel.run("x = 1; open('kept-file', 'w').close()")
    before = sandbox_id(kernel)
    stop = kernel.send("%sandbox stop")
    after = kernel.send("import os; os.path.exists('kept-file'), 'x' in dir()")
    assert "Stopped sandbox" in kernel.collect(stop).stdout
    assert kernel.collect(after).result == "(True, False)"
    assert sandbox_id(kernel) == before


def test_sandbox_start_starts_a_stopped_sandbox(kernel: Driver) -> None:
    kernel.run("%sandbox stop")
    assert "sandbox" in kernel.run("%sandbox start").stdout
    assert kernel.run("1 + 1").result == "2"


def test_after_a_deletion_the_next_cell_has_a_new_sandbox(kernel: Driver) -> None:
    before = sandbox_id(kernel)
    deletion = kernel.run("%sandbox delete")
    assert "Deleted sandbox" in deletion.stdout
    assert isinstance(deletion.reply["execution_count"], int)
    assert kernel.run("1 + 1").result == "2"
    assert sandbox_id(kernel) != before


def test_a_followed_log_ends_with_its_sandbox(kernel: Driver) -> None:
    kernel.run("job = %session run default --async sleep 100")
    assert kernel.run("%sandbox new").reply["status"] == "ok"
    assert kernel.run("1").result == "1"


def test_previews_are_urls(kernel: Driver) -> None:
    """The cell says whether the address answers, also when the server has only just been started."""
    answer = kernel.run("%sandbox preview 3456")
    assert shown(answer).startswith("http")
    assert answer.stderr.startswith("Nothing listens on port 3456 of the sandbox yet")
    kernel.run("%session create web\nserver = %session run web --async python3 -m http.server 3456")
    answer = kernel.run("url = %sandbox preview 3456\nurl.endswith('3456')")
    assert (answer.result, answer.stderr) == ("True", "")
    kernel.run("%session delete web")


@pytest.mark.parametrize(
    ("code", "ename", "words"),
    [
        ("x = 1\n%sandbox new", "MagicUsageError", "alone in its cell"),
        ("%sandbox stop\nx = 1", "MagicUsageError", "alone in its cell"),
        ("%sandbox attach none-such", "DaytonaNotFoundError", "no sandbox 'none-such'"),
        ("%sandbox attach", "MagicUsageError", "ID is missing"),
        (
            "%sandbox new --cpu many",
            "MagicUsageError",
            "--cpu takes a number of cores, 1 or more, not 'many'",
        ),
        ("%sandbox preview 99999", "MagicUsageError", "a number from 1 to 65535"),
        ("%sandbox jump", "MagicUsageError", "has no 'jump'"),
        ("%sandbox keep", "DaytonaError", "daytona-kernel serve"),
        ("%daytona please", "MagicUsageError", "Too many arguments"),
    ],
)
def test_a_wrong_cell_gives_one_sentence_and_keeps_the_variables(
    kernel: Driver, code: str, ename: str, words: str
) -> None:
    assert_fails(kernel, code, ename, words)


@pytest.fixture
def daytona(served: dict[str, str]) -> Iterator[Daytona]:
    config = DaytonaConfig(api_key=served["DAYTONA_API_KEY"], api_url=served["DAYTONA_API_URL"])
    with Daytona(config) as client:
        yield client
        for sandbox in client.list():
            sandbox.delete()


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.005, 0.02, 1.0])
def test_a_sandbox_without_a_move_is_deleted(
    served: dict[str, str], daytona: Daytona, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pause: float
) -> None:
    """Cancel the creation of a sandbox at different moments."""
    for name, value in served.items():
        monkeypatch.setenv(name, value)

    async def create_and_leave() -> None:
        kernel_sandbox = KernelSandbox(HandoverFile(str(tmp_path / "kernel.json")), Future())
        creating = asyncio.create_task(kernel_sandbox.create({}))
        await asyncio.wait([creating], timeout=pause)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        await kernel_sandbox.leave(restart=False, interpreter_ended=True)

    asyncio.run(create_and_leave())
    assert list(daytona.list()) == []


def test_an_attached_sandbox_is_never_deleted(served: dict[str, str], daytona: Daytona) -> None:
    other = daytona.create()
    other.process.exec("echo theirs > note")
    other.stop()
    with running_kernel(**served) as kernel:
        kernel.run("1")
        assert "was deleted" in kernel.run(f"%sandbox attach {other.id}").stdout
        assert kernel.run("open('note').read()").result == "'theirs\\n'"
        assert [each.id for each in daytona.list()] == [other.id]
        assert "did not create this sandbox" in failure(kernel, "%sandbox delete")[1]
        assert "already" in failure(kernel, f"%sandbox attach {other.id}")[1]
        kernel.manager.restart_kernel()
        kernel.client.stop_channels()
        kernel.connect()
        assert kernel.run("open('note').read()").result == "'theirs\\n'"
        assert "is unchanged" in kernel.run("%sandbox new").stdout
        wait_until(lambda: other.process.list_sessions() == [], what="the agent's session still exists")
        kernel.run(f"%sandbox attach {other.id}")
        kernel.run("1")
    wait_until(lambda: [each.id for each in daytona.list()] == [other.id], what="the wrong sandboxes remain")
    wait_until(lambda: other.process.list_sessions() == [], what="the agent's session still exists")


def test_a_kept_sandbox_stays(served: dict[str, str], daytona: Daytona) -> None:
    with running_kernel(**served) as kernel:
        kernel.run("open('note', 'w').close()")
        assert "%sandbox attach" in kernel.run("%sandbox keep").stdout
        text = shown(kernel.run("%daytona"))
        assert served["DAYTONA_API_KEY"] not in text
        assert "(DAYTONA_API_KEY)" in text
    (kept,) = daytona.list()
    assert kept.state == "started"
    assert kept.process.exec("ls").result == "note\n"
