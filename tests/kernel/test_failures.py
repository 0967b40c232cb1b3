"""The cells behind a failed cell: which they are, and how long the failure waits for them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from daytona_kernel.kernel.relay.failures import Failures
from daytona_kernel.kernel.relay.requests import Request
from daytona_kernel.wire.messages import Message, encode_json

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Relay:
    """The failures of a relay, and the messages that were delivered."""

    def __init__(self) -> None:
        self.delivered: list[str] = []
        self.failures = Failures(lambda message: self.delivered.append(message.msg_type))

    def arrive(
        self, msg_id: str, milliseconds: float = 0, session: str = "one", subshell_id: str | None = None
    ) -> Request:
        """Take a cell that the front end created so long after the first."""
        header = {
            "msg_id": msg_id,
            "msg_type": "execute_request",
            "session": session,
            "date": (NOON + timedelta(milliseconds=milliseconds)).isoformat(),
            "subshell_id": subshell_id,
        }
        request = Request(Message("shell", [encode_json(header), b"{}", b"{}", b"{}"]), [], True)
        self.failures.observe(request)
        return request

    async def failed(self, spent: float = 0.0, *, in_interpreter: bool = True) -> Request:
        """Let a cell fail after these seconds, and wait until its reply has left."""
        request = self.arrive("failed")
        request.arrived -= spent
        self.failures.begin(request, in_interpreter=in_interpreter)
        await self.failures.wait(request)
        return request


def answer(request: Request, msg_type: str) -> Message:
    return Message("iopub", [encode_json({"msg_type": msg_type}), request.message.parts[0], b"{}", b"{}"])


async def test_messages_of_the_queue_wait_in_order_until_no_more_cells_arrive() -> None:
    relay = Relay()
    failed, behind = relay.arrive("failed"), relay.arrive("behind")
    elsewhere = relay.arrive("elsewhere", subshell_id="s")
    relay.failures.begin(failed, in_interpreter=True)
    assert relay.failures.hold(answer(failed, "execute_reply"), failed)
    assert relay.failures.hold(answer(behind, "status"), behind)
    assert relay.failures.hold(answer(failed, "status"), None)
    assert not relay.failures.hold(answer(elsewhere, "status"), elsewhere)
    assert not relay.failures.hold(answer(relay.arrive("gone"), "stream"), None)
    assert relay.delivered == []
    await relay.failures.wait(failed)
    assert relay.delivered == ["execute_reply", "status", "status"]
    assert not relay.failures.hold(answer(behind, "status"), behind)


async def test_an_error_that_the_reply_does_not_confirm_is_no_failure() -> None:
    relay = Relay()
    shown = relay.arrive("shown")
    relay.failures.begin(shown, in_interpreter=True)
    assert relay.failures.hold(answer(shown, "status"), shown)
    relay.failures.dismiss(shown)
    assert relay.delivered == ["status"]
    assert not relay.failures.ends_with(relay.arrive("next", 1))


async def test_cells_that_keep_coming_do_not_hold_a_failure_for_ever() -> None:
    relay = Relay()
    failed = relay.arrive("failed")
    relay.failures.begin(failed, in_interpreter=True)
    waiting = asyncio.ensure_future(relay.failures.wait(failed))
    arrived = 0
    async with asyncio.timeout(10):
        while not waiting.done():
            relay.arrive(f"cell {arrived}")
            arrived += 1
            await asyncio.sleep(0)
    assert arrived > 1


@pytest.mark.parametrize(
    ("milliseconds", "session", "is_behind"),
    [(1, "one", True), (4900, "one", True), (60_000, "one", False), (-1, "one", False), (1, "two", False)],
)
async def test_a_cell_that_was_on_its_way_is_known_by_its_date(
    milliseconds: float, session: str, is_behind: bool
) -> None:
    relay = Relay()
    await relay.failed(spent=5.0)
    late = relay.arrive("late", milliseconds, session)
    assert relay.failures.ends_with(late) != is_behind


async def test_a_date_counts_only_soon_after_the_failure() -> None:
    relay = Relay()
    await relay.failed(spent=5.0)
    late = relay.arrive("late", 1)
    late.arrived += 2
    assert relay.failures.ends_with(late)


@pytest.mark.parametrize("date", [None, 5, "noon", "9999-99-99"])
async def test_a_malformed_date_counts_for_nothing(date: object) -> None:
    relay = Relay()
    await relay.failed(spent=5.0)
    late = relay.arrive("late", 1)
    late.message.header["date"] = date
    assert relay.failures.ends_with(late)


async def test_the_interpreter_runs_cells_again_once() -> None:
    relay = Relay()
    await relay.failed()
    assert relay.failures.ends_with(relay.arrive("next", 1000))
    assert not relay.failures.ends_with(relay.arrive("third", 2000))


async def test_without_an_interpreter_the_kernel_aborts_the_cells_itself() -> None:
    relay = Relay()
    failed = relay.arrive("failed")
    relay.failures.begin(failed, in_interpreter=False)
    assert relay.failures.must_abort(relay.arrive("behind", 1))
    await relay.failures.wait(failed)
    after = relay.arrive("after", 1000)
    assert not relay.failures.must_abort(after)
    assert not relay.failures.ends_with(after)


async def test_a_new_interpreter_does_not_abort_cells() -> None:
    relay = Relay()
    await relay.failed()
    relay.failures.forget_interpreter()
    assert not relay.failures.ends_with(relay.arrive("next", 1000))


async def test_an_interpreter_of_a_crashed_kernel_may_still_abort_cells() -> None:
    relay = Relay()
    waiting = relay.arrive("waiting")
    relay.failures.inherit()
    assert not relay.failures.must_abort(waiting)
    assert relay.failures.ends_with(waiting)
