"""The interpreter slot, and moves that close and reopen it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from daytona_kernel.errors import (
    DaytonaError,
    InterpreterError,
    InterpreterLostError,
    InterpreterUnreachableError,
)
from daytona_kernel.kernel.event_loop import EventLoop
from daytona_kernel.kernel.relay.move import Move
from daytona_kernel.kernel.relay.requests import Request
from daytona_kernel.kernel.relay.slot import InterpreterSlot
from daytona_kernel.wire.messages import Message

if TYPE_CHECKING:
    from daytona_kernel.client.process import AsyncProcess
    from daytona_kernel.interpreter.interpreter import Interpreter
    from daytona_kernel.kernel.out.outbox import Outbox

pytestmark = pytest.mark.anyio

PROCESS = cast("AsyncProcess", None)


class IdleInterpreter:
    """An interpreter that runs nothing until it is lost."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.replaced = self.shut = False

    async def run(self) -> None:
        await self.lost

    def replace(self) -> None:
        self.replaced = True

    def lose(self, reason: str) -> InterpreterLostError:
        return InterpreterLostError(reason)

    async def shut_down(self) -> None:
        self.shut = True


class Slot(InterpreterSlot):
    """A slot that records its requests to the host, and the ends of its interpreters."""

    def __init__(self) -> None:
        self.starts = 0
        self.may_resume: bool | None = None
        self.lefts = 0
        self.ends: list[str] = []
        self.server_end: str | None = None
        super().__init__(
            self.count_start,
            on_message=lambda _message: None,
            on_event=lambda _event: None,
            on_ready=lambda _info: None,
            on_ended=self.ends.append,
            on_outage=lambda _reason: None,
            on_left=self.count_left,
            server_end=lambda: self.server_end,
        )

    def count_start(self, may_resume: bool) -> None:
        self.starts += 1
        self.may_resume = may_resume

    def count_left(self) -> None:
        self.lefts += 1

    def connect_idle(self) -> IdleInterpreter:
        interpreter = IdleInterpreter()
        self.connect(PROCESS, lambda **_callbacks: cast("Interpreter", interpreter))
        return interpreter


async def test_the_host_starts_the_first_interpreter_without_a_request() -> None:
    slot = Slot()
    slot.want()
    arrival = slot.arrival()
    interpreter = slot.connect_idle()
    assert await arrival is cast("Any", interpreter)
    slot.want()
    assert slot.starts == 0


async def test_after_a_failed_start_the_next_request_starts_one_again() -> None:
    slot = Slot()
    arrival = slot.arrival()
    slot.fail_start(DaytonaError("no sandbox"))
    with pytest.raises(DaytonaError, match="no sandbox"):
        await arrival
    slot.want()
    slot.want()
    assert slot.starts == 1


@pytest.mark.parametrize(
    ("error", "may_resume"),
    [(InterpreterLostError("gone"), False), (InterpreterUnreachableError("gone"), True)],
)
async def test_the_next_request_replaces_a_lost_interpreter(
    error: InterpreterError, may_resume: bool
) -> None:
    slot = Slot()
    slot.connect_idle().lost.set_exception(error)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert slot.interpreter is None
    assert (slot.ends, slot.starts) == (["gone"], 0)
    slot.want()
    assert (slot.starts, slot.may_resume) == (1, may_resume)


async def test_an_interpreter_is_lost_with_its_server_although_its_connection_still_stands() -> None:
    slot = Slot()
    interpreter = slot.connect_idle()
    await asyncio.sleep(0)
    slot.check()
    assert slot.interpreter is cast("Any", interpreter)
    slot.server_end = "The server has ended."
    slot.check()
    slot.check()
    assert slot.interpreter is None
    assert slot.ends == ["The server has ended."]
    await asyncio.sleep(0)
    assert interpreter.lost.cancelled()
    slot.want()
    assert (slot.starts, slot.may_resume) == (1, False)


async def test_an_interpreter_that_the_slot_lets_go_of_ends_in_good_order() -> None:
    slot = Slot()
    interpreter = slot.connect_idle()
    slot.close()
    assert await slot.ended()
    assert interpreter.shut
    assert interpreter.lost.cancelled()


async def test_a_closed_slot_starts_an_interpreter_only_after_it_is_reopened() -> None:
    slot = Slot()
    interpreter = slot.connect_idle()
    slot.close()
    assert interpreter.replaced
    assert slot.interpreter is None
    assert (slot.lefts, slot.ends) == (1, [])
    slot.want()
    assert slot.starts == 0
    slot.reopen(start=False)
    assert slot.starts == 1


async def test_a_reopened_slot_stays_empty_until_a_request_wants_an_interpreter() -> None:
    slot = Slot()
    slot.close()
    slot.close()
    slot.reopen(start=False)
    slot.want()
    assert slot.starts == 0
    slot.reopen(start=False)
    assert slot.starts == 1


class Shown:
    """The messages that a move shows in its cell."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def say(self, _parent: Message, _msg_type: str, content: dict[str, Any]) -> None:
        self.texts.append(content["text"])


async def delete() -> str:
    return "Deleted."


async def fail() -> str:
    raise DaytonaError("refused")


def move_of(slot: Slot, shown: Shown, work: Any, *, start: bool, others_wait: bool) -> Move:
    return Move(
        Request(Message("shell", [b"{}"] * 4), []),
        work,
        start=start,
        slot=slot,
        api=EventLoop(asyncio.get_running_loop()),
        outbox=cast("Outbox", shown),
        others_wait=lambda: others_wait,
    )


@pytest.mark.parametrize(
    ("start", "others_wait", "starts"), [(False, False, 0), (True, False, 1), (False, True, 1)]
)
async def test_a_move_shows_its_sentence_and_starts_an_interpreter_if_one_is_wanted(
    start: bool, others_wait: bool, starts: int
) -> None:
    slot, shown = Slot(), Shown()
    slot.connect_idle()
    move = move_of(slot, shown, delete, start=start, others_wait=others_wait)
    move.leave()
    assert slot.interpreter is None
    await move.finish()
    move.abandon()
    assert (shown.texts, slot.starts) == (["Deleted.\n"], starts)


async def test_a_failed_move_reopens_the_slot() -> None:
    slot, shown = Slot(), Shown()
    move = move_of(slot, shown, fail, start=True, others_wait=False)
    move.leave()
    with pytest.raises(DaytonaError, match="refused"):
        await move.finish()
    assert (shown.texts, slot.starts) == ([], 0)
    slot.want()
    assert slot.starts == 1


async def test_an_abandoned_move_reopens_the_slot_for_waiting_cells() -> None:
    slot = Slot()
    slot.connect_idle()
    move = move_of(slot, Shown(), delete, start=True, others_wait=True)
    move.leave()
    move.abandon()
    move.abandon()
    assert slot.starts == 1
