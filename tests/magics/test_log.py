"""The log of a real command in its cell: its end, and the buttons of its view."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import comm
import pytest
from comm.base_comm import BaseComm

from daytona_kernel import AsyncDaytona, DaytonaConfig, SessionExecuteRequest
from daytona_kernel.magics.command_history import CommandHistory
from daytona_kernel.magics.log import follow_log
from daytona_kernel.magics.shell import background
from daytona_kernel.magics.shell.process_tree import new_tag
from tests.conftest import both_profiles

from .commands import list_tmp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from daytona_kernel.client.sandbox import AsyncSandbox

pytestmark = pytest.mark.anyio
WIDGET = "application/vnd.jupyter.widget-view+json"
SECONDS = 90.0


class Cell:
    """A cell that shows one log, and a page with its view. `messages` holds the messages to the page."""

    def __init__(self, command_id: str) -> None:
        self.command_id = command_id
        self.bundles: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []

    def show(self, data: dict[str, Any], metadata: Any = None) -> Cell:
        self.bundles.append(data)
        return self

    update = show

    def keep(self, task: asyncio.Task[None]) -> None:
        self.task = task

    def send(self, **content: Any) -> None:
        """Send a message to the view, as a page does."""
        import ipywidgets  # imported late, since it opens comms through the replaced `comm.create_comm`

        view = ipywidgets.widgets.widget._instances[self.bundles[0][WIDGET]["model_id"]]
        view._handle_custom_msg({"view": "page", **content}, [])

    async def wait(self, kind: str, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> Any:
        """Wait for the first wanted message of a kind, and return it."""
        deadline = time.monotonic() + SECONDS
        while not (found := [m for m in self.messages if m.get("type") == kind and wanted(m)]):
            assert time.monotonic() < deadline, self.messages
            await asyncio.sleep(0.01)
        return found[0]

    async def final(self) -> str:
        """Wait for the command's end, and return the text that stays in the notebook."""
        await asyncio.wait_for(self.task, SECONDS)
        assert set(self.bundles[-1]) == {"text/html", "text/plain"}
        text: str = self.bundles[-1]["text/plain"]
        return text


@pytest.fixture
async def daytona(profiled: DaytonaConfig) -> AsyncIterator[AsyncDaytona]:
    async with AsyncDaytona(profiled) as client:
        yield client


@pytest.fixture
async def sandbox(daytona: AsyncDaytona) -> AsyncSandbox:
    created = await daytona.create()
    await created.process.create_session("s")
    return created


@pytest.fixture
def follow(sandbox: AsyncSandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs a script in the background, shows it in a cell and waits for its first line."""
    history = CommandHistory()

    async def run(script: str, *, is_queued: bool = False) -> Cell:
        wrapped = background.wrap(new_tag(), script)
        request = SessionExecuteRequest(wrapped, run_async=True)
        answer = await sandbox.process.execute_session_command("s", request)
        cell = Cell(answer.cmd_id)

        class PageComm(BaseComm):
            def publish_msg(self, msg_type: str, data: Any = None, *_args: Any, **_keys: Any) -> None:
                if data and data.get("method") == "custom":
                    cell.messages.append(data["content"])

        monkeypatch.setattr(comm, "create_comm", PageComm)
        await follow_log(cell, sandbox, "s", answer.cmd_id, wrapped, history)  # type: ignore[arg-type]
        if is_queued:
            return cell
        cell.send(type="present")
        cell.send(type="read", since=0)
        await cell.wait("lines", lambda batch: batch["count"])
        return cell

    return run


async def test_a_log_ends_with_its_command(follow: Any) -> None:
    cell = await follow("echo one; read line; echo two $line; exit 3")
    cell.send(type="input", text="words\n")
    heading, *lines = (await cell.final()).split("\n")
    assert "exited 3" in heading
    assert lines == ["one", "words", "two words"]


async def test_stopping_twice(follow: Any) -> None:
    cell = await follow("trap '' INT; echo up; sleep 900 & wait; sleep 900")
    cell.send(type="stop")
    cell.send(type="stop")
    assert " (stopped · " in await cell.final()
    assert not [message for message in cell.messages if message["type"] == "notice"]


async def test_stopping_a_command_that_has_ended(follow: Any) -> None:
    cell = await follow("echo up")
    await cell.final()
    cell.send(type="stop")
    assert (await cell.wait("notice"))["text"] == "The command had already ended, with exit status 0."


async def test_stopping_a_queued_command(follow: Any, sandbox: AsyncSandbox) -> None:
    before = await list_tmp(sandbox.process)
    first = await follow("echo up; read")
    request = SessionExecuteRequest(background.wrap(new_tag(), "touch /tmp/started"), run_async=True)
    queued = (await sandbox.process.execute_session_command("s", request)).cmd_id
    cell = Cell(queued)
    command = await sandbox.process.get_session_command("s", queued)
    await follow_log(cell, sandbox, "s", queued, command.command, CommandHistory())  # type: ignore[arg-type]
    cell.send(type="stop")
    assert (
        "has been canceled" in (await first.wait("notice"))["text"]
    )  # both views share one page's comm here
    first.send(type="input", text="\n")
    assert "exited 0" in await first.final()
    assert " (stopped · " in await cell.final()
    assert await list_tmp(sandbox.process) == before


async def test_input_to_a_command_that_has_ended(follow: Any) -> None:
    cell = await follow("echo up")
    await cell.final()
    cell.send(type="input", text="too late\n")
    await cell.wait("notice")
    notices = [message["text"] for message in cell.messages if message["type"] == "notice"]
    assert notices == ["The command has ended and takes no more input."]


@both_profiles
@pytest.mark.parametrize(
    "script",
    ["kill -9 $$", "kill -9 $$; sleep 0.5; echo last", "kill -9 $$ $BASHPID", "kill -9 $$; exec true"],
)
async def test_a_command_that_ends_the_shell_of_its_session_ends_its_log(
    follow: Any, profile: str, script: str
) -> None:
    cell = await follow(f"echo up; read; {script}")
    queued = await follow("echo never", is_queued=True)
    cell.send(type="input", text="go\n")
    for each, status in ((cell, "exited 137"), (queued, "exited -1")):
        final = await each.final()
        if profile == "daytona":
            assert "the shell of session 's' has ended, so the command has no exit status" in final
            assert "run %session delete s and create it again" in final
        else:
            assert status in final
    assert "\nup" in (shown := await cell.final())
    assert ("\nlast" in shown) == ("last" in script and profile == "daytona")


async def test_deleting_the_session_ends_its_log(follow: Any, sandbox: AsyncSandbox) -> None:
    cell = await follow("echo up; sleep 900")
    await sandbox.process.delete_session("s")
    final = await cell.final()
    assert "no longer followed: session 's' was deleted, and the command ended with it" in final
    assert "\nup" in final
    cell.send(type="input", text="too late\n")
    notice = await cell.wait("notice", lambda m: "followed" not in m["text"])
    assert notice["text"] == "Session 's' was deleted, and the command ended with it"


async def test_deleting_the_sandbox_ends_its_log(follow: Any, sandbox: AsyncSandbox) -> None:
    cell = await follow("echo up; sleep 900")
    await sandbox.delete()
    final = await cell.final()
    assert "no longer followed: the sandbox was deleted, and the command ended with it" in final
    assert "\nup" in final
