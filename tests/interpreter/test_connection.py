"""A connection that cannot be made: how long the kernel tries, and what ends the attempts at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.errors import (
    DaytonaAuthenticationError,
    DaytonaBadGatewayError,
    DaytonaConnectionError,
    DaytonaError,
    DaytonaRateLimitError,
    InterpreterError,
    InterpreterLostError,
    InterpreterUnreachableError,
)
from daytona_kernel.interpreter import connection, outage
from daytona_kernel.interpreter.connection import Connection, Credentials
from daytona_kernel.interpreter.interpreter import Interpreter

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

pytestmark = pytest.mark.anyio

CREDENTIALS = Credentials("link", "a secret of a test")


class ClosedGateway:
    """A gateway that nothing passes."""

    sandbox_answers = False
    is_paused = False

    async def resume(self) -> None:
        raise AssertionError("this sandbox is never paused")

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tries = 0
        self.end: str | None = None

    async def open(self) -> ClientConnection:
        self.tries += 1
        raise self.errors[min(self.tries, len(self.errors)) - 1]

    async def agent_ended(self) -> str | None:
        return self.end


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "REFUSED_SECONDS", 0.2)
    monkeypatch.setattr(outage, "AWAY_SECONDS", 0.6)
    monkeypatch.setattr(connection, "_LONGEST_PAUSE", 0.05)


async def seconds_until_given_up(gateway: ClosedGateway) -> float:
    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(InterpreterUnreachableError, match="the next cell tries to reach it again"):
        await asyncio.wait_for(Connection(gateway, CREDENTIALS, print).run(), 10)
    return loop.time() - start


REFUSED = DaytonaAuthenticationError("The key is wrong.", status_code=401)
PASSING: list[DaytonaError] = [
    DaytonaBadGatewayError("The proxy has no server.", status_code=502),
    DaytonaRateLimitError("Too many requests.", status_code=429),
    DaytonaConnectionError("Nobody listens."),
]


async def test_a_refusal_is_final_after_a_while() -> None:
    assert 0.2 <= await seconds_until_given_up(ClosedGateway(REFUSED)) < 0.6


@pytest.mark.parametrize("error", PASSING)
async def test_an_outage_is_waited_for_longer(error: DaytonaError) -> None:
    assert await seconds_until_given_up(ClosedGateway(error)) >= 0.6


async def test_a_refusal_between_outages_does_not_count_as_one() -> None:
    errors = [each for _ in range(100) for each in (REFUSED, PASSING[0])]
    assert await seconds_until_given_up(ClosedGateway(*errors)) >= 0.6


@pytest.mark.parametrize(
    ("error", "kind"), [(TimeoutError(), InterpreterLostError), (PASSING[0], InterpreterUnreachableError)]
)
async def test_an_agent_that_is_silent_in_a_sandbox_that_answers_is_lost(
    error: Exception, kind: type[InterpreterError]
) -> None:
    gateway = ClosedGateway(error)
    gateway.sandbox_answers = True
    with pytest.raises(kind):
        await asyncio.wait_for(Connection(gateway, CREDENTIALS, print).run(), 10)


async def test_an_ended_agent_ends_the_wait_at_once() -> None:
    gateway = ClosedGateway(PASSING[0])
    gateway.end = "The sandbox was stopped."
    with pytest.raises(InterpreterLostError, match="The sandbox was stopped"):
        await asyncio.wait_for(Connection(gateway, CREDENTIALS, print).run(), 10)
    assert gateway.tries == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [(REFUSED, InterpreterUnreachableError), (RuntimeError("a defect"), InterpreterLostError)],
)
async def test_the_end_of_a_connection_fails_all_executions(
    error: Exception, kind: type[InterpreterError]
) -> None:
    interpreter = Interpreter(ClosedGateway(error), CREDENTIALS, on_message=print)
    executing = asyncio.ensure_future(interpreter.execute("1"))
    with pytest.raises(kind):
        await asyncio.wait_for(interpreter.run(), 10)
    with pytest.raises(kind):
        await asyncio.wait_for(executing, 10)
    with pytest.raises(kind):
        await asyncio.wait_for(interpreter.execute("2"), 10)
