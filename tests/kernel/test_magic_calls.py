"""Magic calls: each ends exactly once, whenever its interrupt comes, and in as few messages as possible."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from daytona_kernel.errors import DaytonaError
from daytona_kernel.kernel.host.magic_calls import MagicCalls
from daytona_kernel.magics.magic import magic
from daytona_kernel.magics.reach import Reach
from daytona_kernel.magics.registry import Registry
from daytona_kernel.magics.signature import Signature
from daytona_kernel.wire.magic_messages import (
    MSG_TYPE,
    Assign,
    Completed,
    CompletionWanted,
    MagicAnswer,
    MagicCalled,
    MagicEnd,
    MagicOutput,
    MagicRequest,
    Print,
    Raised,
    Returned,
    VariableRefused,
    VariableSent,
    VariableWanted,
    encode_magic_request,
)
from daytona_kernel.wire.messages import Message
from daytona_kernel.wire.values import JsonValue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daytona_kernel.kernel.host.kernel_sandbox import KernelSandbox
    from daytona_kernel.kernel.host.permissions import Permissions
    from daytona_kernel.kernel.out.outbox import Outbox
    from daytona_kernel.magics.magic_call import MagicCall

pytestmark = pytest.mark.anyio

CALL_ID = "c1"
INTERRUPTED = MagicEnd(CALL_ID, (), Raised("KeyboardInterrupt", "", None))


async def ask(*_: Any) -> str | None:
    raise AssertionError("no call here asks anything")


async def move(*_: Any) -> None:
    raise AssertionError("no call here replaces the sandbox")


async def pause(_request: Message, _work: Callable[[], Awaitable[str]]) -> None:
    pass


class Calls:
    """The magic calls of a registry with one magic, `work`, and the answers that they send."""

    def __init__(self, work: Callable[[MagicCall], Awaitable[Any]]) -> None:
        class WorkMagic:
            @magic("work", Signature(), Reach.SANDBOX)
            async def work(self, call: MagicCall) -> Any:
                """Do the test's work."""
                return await work(call)

        registry = Registry()
        registry.add(WorkMagic())
        self.calls = MagicCalls(
            registry,
            cast("Outbox", None),
            cast("KernelSandbox", None),
            cast("Permissions", None),
            running=lambda: None,
            completing=lambda _: None,
            ask=ask,
            move=move,
            pause=pause,
        )
        self.answers: list[MagicAnswer] = []

    async def send(self, answer: MagicAnswer) -> None:
        for _ in range(3):
            await asyncio.sleep(0)  # an answer is on its way for some turns of the loop
        self.answers.append(answer)

    def take(self, request: MagicRequest) -> None:
        content = encode_magic_request(request)
        self.calls.take(Message.make("iopub", {"msg_type": MSG_TYPE}, content), self.send)

    def start(self) -> None:
        self.take(MagicCalled(CALL_ID, "work", "", None, False, "/", {}, (), "/usr/bin/python3"))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0)

    async def run(self) -> list[MagicAnswer]:
        """Call the magic, and return all answers."""
        self.start()
        await self.until(lambda: bool(self.answers) and isinstance(self.answers[-1], MagicEnd))
        return self.answers


async def wait_for_ever(_call: MagicCall) -> None:
    await asyncio.get_running_loop().create_future()


async def do_nothing(_call: MagicCall) -> None:
    pass


@pytest.mark.parametrize("turns", range(-1, 4))
async def test_an_interrupted_call_ends_once(turns: int) -> None:
    calls = Calls(wait_for_ever)
    # The call and its interrupt arrive over two paths, with any number of turns of the loop between them.
    # With -1 turns the interrupt comes before the work starts.
    if turns == -1:
        canceled = asyncio.create_task(calls.calls.cancel(CALL_ID, calls.send))
        calls.start()
    else:
        calls.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        canceled = asyncio.create_task(calls.calls.cancel(CALL_ID, calls.send))
    await canceled
    await calls.calls.close()
    assert calls.answers == [INTERRUPTED]


async def test_an_interrupt_that_overtakes_its_call_prevents_it() -> None:
    calls = Calls(wait_for_ever)
    await calls.calls.cancel(CALL_ID, calls.send)
    calls.start()
    await calls.calls.close()
    assert calls.answers == [INTERRUPTED]


async def test_a_magic_that_prints_and_ends_sends_one_message() -> None:
    async def work(call: MagicCall) -> list[str]:
        await call.print("out\n")
        await call.print("err\n", "stderr")
        await call.set("_exit_code", 0)
        return ["out"]

    steps = (Print("stdout", "out\n"), Print("stderr", "err\n"), Assign("_exit_code", JsonValue("0")))
    assert await Calls(work).run() == [MagicEnd(CALL_ID, steps, Returned(["out"]))]


async def test_a_magic_that_prints_and_fails_sends_one_message() -> None:
    async def work(call: MagicCall) -> None:
        await call.print("out\n")
        raise DaytonaError("no")

    end = MagicEnd(CALL_ID, (Print("stdout", "out\n"),), Raised("DaytonaError", "no", None))
    assert await Calls(work).run() == [end]


async def test_output_does_not_wait_for_the_end_of_the_magic() -> None:
    calls = Calls(do_nothing)

    async def work(call: MagicCall) -> None:
        await call.print("first\n")
        await calls.until(lambda: bool(calls.answers))
        await call.print("last\n")

    calls = Calls(work)
    first, last = await calls.run()
    assert first == MagicOutput(CALL_ID, (Print("stdout", "first\n"),))
    assert last == MagicEnd(CALL_ID, (Print("stdout", "last\n"),), Returned(None))


async def test_much_output_keeps_its_order_and_does_not_pile_up() -> None:
    async def work(call: MagicCall) -> None:
        for number in range(1000):
            await call.print(f"{number:<1000}\n")

    answers = await Calls(work).run()
    steps = [step for each in answers if not isinstance(each, VariableWanted) for step in each.steps]
    texts = [step.text for step in steps if isinstance(step, Print)]
    assert "".join(texts) == "".join(f"{number:<1000}\n" for number in range(1000))
    assert max(map(len, texts)) < 70_000


async def test_a_variable_is_asked_for_after_the_output_before_it() -> None:
    got: list[object] = []

    async def work(call: MagicCall) -> None:
        await call.print("out\n")
        got.append(await call.get("x"))
        await call.get("y")

    calls = Calls(work)
    calls.start()
    await calls.until(lambda: len(calls.answers) == 2)
    calls.take(VariableSent(CALL_ID, JsonValue("7")))
    await calls.until(lambda: len(calls.answers) == 3)
    calls.take(VariableRefused(CALL_ID, "there is no such variable"))
    await calls.until(lambda: len(calls.answers) == 4)
    assert got == [JsonValue("7")]
    assert calls.answers == [
        MagicOutput(CALL_ID, (Print("stdout", "out\n"),)),
        VariableWanted(CALL_ID, "x"),
        VariableWanted(CALL_ID, "y"),
        MagicEnd(
            CALL_ID, (), Raised("DaytonaError", "'y' cannot be copied: there is no such variable.", None)
        ),
    ]


async def test_a_completion_ends_with_its_words() -> None:
    calls = Calls(do_nothing)
    calls.take(CompletionWanted(CALL_ID, "work", " -", of_cell=False))
    await calls.until(lambda: bool(calls.answers))
    (end,) = calls.answers
    assert isinstance(end, MagicEnd)
    assert isinstance(end.outcome, Completed)
    assert "--help" in end.outcome.words


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"type":"magic_called"}', b'{"type":"variable_sent","call_id":"c1","value":null}'],
)
async def test_a_malformed_request_is_dropped(content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    calls = Calls(do_nothing)
    header = b'{"msg_type":"daytona_magic"}'
    calls.calls.take(Message("iopub", [header, b"{}", b"{}", content]), calls.send)
    assert "malformed request" in caplog.text
    assert len(await calls.run()) == 1


async def test_a_second_call_with_the_same_id_is_dropped() -> None:
    calls = Calls(wait_for_ever)
    calls.start()
    calls.start()
    await calls.calls.cancel(CALL_ID, calls.send)
    await calls.calls.close()
    assert calls.answers == [INTERRUPTED]
