"""The way of a magic's output to its cell: in order, whole, and in few messages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.kernel.host.cell_channel import CellChannel
from daytona_kernel.wire.magic_messages import Display, MagicEnd, MagicOutput, Print, Returned

if TYPE_CHECKING:
    from daytona_kernel.wire.magic_messages import MagicAnswer, Step

pytestmark = pytest.mark.anyio


class Cell:
    """A cell that takes each message after a turn of the loop."""

    def __init__(self) -> None:
        self.messages: list[MagicAnswer] = []
        self.channel = CellChannel("c1", self._take)

    async def _take(self, answer: MagicAnswer) -> None:
        await asyncio.sleep(0)
        self.messages.append(answer)

    @property
    def steps(self) -> list[Step]:
        outputs = [each for each in self.messages if isinstance(each, MagicOutput | MagicEnd)]
        return [step for output in outputs for step in output.steps]


async def test_a_flood_arrives_whole_and_in_few_messages() -> None:
    cell = Cell()
    for number in range(5000):
        await cell.channel.take(Print("stdout", f"{number:<1000}\n"))
    await cell.channel.end(Returned(None))
    assert "".join(step.text for step in cell.steps if isinstance(step, Print)) == "".join(
        f"{number:<1000}\n" for number in range(5000)
    )
    assert len(cell.messages) < 100
    assert isinstance(cell.messages[-1], MagicEnd)


async def test_steps_keep_their_order_and_only_neighbors_are_joined() -> None:
    cell = Cell()
    steps: list[Step] = [
        Print("stdout", "a"),
        Print("stdout", "b"),
        Print("stderr", "c"),
        Display({"text/plain": "d"}, {}),
        Display({"text/plain": "e"}, {}),
        Print("stdout", "f"),
    ]
    for step in steps:
        await cell.channel.take(step)
    await cell.channel.end(Returned(None))
    assert cell.steps == [Print("stdout", "ab"), *steps[2:]]


async def test_the_first_output_and_the_end_do_not_wait_for_the_pace() -> None:
    cell = Cell()
    loop = asyncio.get_running_loop()
    started = loop.time()
    await cell.channel.take(Print("stdout", "first"))
    while not cell.messages:
        await asyncio.sleep(0)
    await cell.channel.take(Print("stdout", "second"))
    await cell.channel.end(Returned(None))
    assert loop.time() - started < 0.05
    assert [type(each) for each in cell.messages] == [MagicOutput, MagicEnd]


async def test_output_behind_the_first_arrives_without_an_end() -> None:
    cell = Cell()
    for text in ("first", "second", "third"):
        await cell.channel.take(Print("stdout", text))
        await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        while len(cell.messages) < 2:
            await asyncio.sleep(0.01)
    assert cell.steps == [Print("stdout", "first"), Print("stdout", "secondthird")]
