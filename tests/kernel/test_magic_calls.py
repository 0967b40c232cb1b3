"""MagicCalls of magics: each is answered exactly once, whenever its interrupt comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from daytona_kernel.kernel.host.magic_calls import MagicCalls
from daytona_kernel.magics.magic import magic
from daytona_kernel.magics.registry import Registry
from daytona_kernel.magics.signature import Signature
from daytona_kernel.wire.messages import Message

if TYPE_CHECKING:
    from daytona_kernel.kernel.host.kernel_sandbox import KernelSandbox
    from daytona_kernel.kernel.out.outbox import Outbox
    from daytona_kernel.magics.magic_call import MagicCall

pytestmark = pytest.mark.anyio

CALL_ID = "c1"


async def move(*_: Any) -> None:
    raise AssertionError("no call here replaces the sandbox")


def calls_of(registry: Registry) -> MagicCalls:
    unused = cast("KernelSandbox", None), lambda: None
    return MagicCalls(registry, cast("Outbox", None), *unused, move)


def call_message() -> Message:
    content = {"id": CALL_ID, "name": "wait", "line": "", "cell": None, "assigned": False}
    content |= {"cwd": None, "environ": {}, "unset": [], "python": None}
    return Message.make("iopub", {"msg_type": "daytona_magic"}, content)


@pytest.mark.parametrize("turns", range(-1, 4))
async def test_an_interrupted_call_is_answered_once(turns: int) -> None:
    class WaitMagic:
        @magic("wait", Signature())
        async def wait(self, call: MagicCall) -> None:
            """Wait forever."""
            await asyncio.get_running_loop().create_future()

    registry = Registry()
    registry.add(WaitMagic())

    calls = calls_of(registry)
    answers: list[tuple[str, dict[str, Any]]] = []

    async def answer(call_id: str, event: dict[str, Any]) -> None:
        answers.append((call_id, event))

    # The call and its interrupt come over two ways: any number of turns of the loop lies between them,
    # and with -1 of them the work is known, and has not begun.
    if turns == -1:
        cancelled = asyncio.create_task(calls.cancel(CALL_ID, answer))
        calls.start(call_message(), answer)
    else:
        calls.start(call_message(), answer)
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelled = asyncio.create_task(calls.cancel(CALL_ID, answer))
    await cancelled
    await calls.close()
    assert answers == [(CALL_ID, {"error": {"ename": "KeyboardInterrupt", "evalue": ""}})]


async def test_an_interrupt_that_overtakes_its_call_prevents_it() -> None:
    calls = calls_of(Registry())
    answers: list[dict[str, Any]] = []

    async def answer(_call_id: str, event: dict[str, Any]) -> None:
        answers.append(event)

    await calls.cancel(CALL_ID, answer)
    calls.start(call_message(), answer)
    await calls.close()
    assert [each["error"]["ename"] for each in answers] == ["KeyboardInterrupt"]
