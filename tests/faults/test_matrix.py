"""Each fault at each stage: the cell ends with one sentence or goes on whole, and the next cell works.

`make test-faults` runs the whole matrix. Other runs have a part of it, with each quick fault and each stage.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from .matrix import CELLS, QUICK, REPRESENTATIVES, kind
from .stages import STAGES
from .world import NetworkWorld, Running, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kernel.driver import Answer

    from .faults import Fault
    from .stages import Stage

_SENTENCE = re.compile(r"[A-Z0-9][^\n]* [^\n]*[.?)]")
_NETWORK_GROUPS = 2


class Worlds:
    """The worlds of the tests of one process. One serves all faults of the network."""

    def __init__(self) -> None:
        self._network: NetworkWorld | None = None

    def open(self, fault: Fault, stage: Stage) -> World:
        """Return a world at the beginning of a stage."""
        if not fault.at_network:
            world = World()
            if not stage.starts_kernel:
                world.start()
            return world
        world = self._network = self._network or NetworkWorld()
        if world.manager is None and not stage.starts_kernel:
            world.start()
        return world

    def end(self, world: World, *, worked: bool) -> None:
        """End a world that is not used again."""
        if world is not self._network:
            world.close()
        elif not worked:
            self._network = None
            world.close()

    def close(self) -> None:
        if self._network is not None:
            self._network.close()


@pytest.fixture(scope="module")
def worlds() -> Iterator[Worlds]:
    worlds = Worlds()
    yield worlds
    worlds.close()


def _cells() -> Iterator[object]:
    for number, (fault, stage) in enumerate(CELLS):
        group = f"faults of the network {number % _NETWORK_GROUPS}" if fault.at_network else f"fault {number}"
        marks = [pytest.mark.xdist_group(group)]
        if (fault, stage) not in REPRESENTATIVES:
            marks.append(pytest.mark.faults)
        yield pytest.param(fault, stage, id=f"{fault.name}: {stage.name}", marks=marks)


@pytest.mark.parametrize(("fault", "stage"), _cells())
def test_a_fault_at_a_stage(worlds: Worlds, fault: Fault, stage: Stage) -> None:
    world = worlds.open(fault, stage)
    worked = False
    try:
        running = stage.enter(world)
        fault.strike(world)
        if running is None:
            running = stage.send(world)
        stage.answer(world, running)
        fault.last(world)
        fault.relieve(world)
        check(running.end(), stage, crashed=world.has_crashed)
        following = Running(world, "print('next')").end()
        assert following.contents("error") == []
        assert following.stdout == "next\n"
        stage.leave(world, running)
        worked = True
    finally:
        worlds.end(world, worked=worked)


def check(answer: Answer, stage: Stage, *, crashed: bool) -> None:
    """Check that a cell has gone on whole, or has ended with one sentence."""
    errors = answer.contents("error")
    assert len(errors) <= 1
    if errors:
        assert _SENTENCE.fullmatch(errors[0]["evalue"]), errors[0]["evalue"]
        assert stage.is_start(answer.stdout), answer.stdout
    else:
        assert crashed or answer.reply["status"] == "ok"
        assert stage.is_whole(answer.stdout), answer.stdout
    shown = {}
    for message in answer.messages:
        content = message["content"]
        if message["msg_type"] in ("display_data", "update_display_data"):
            shown[content["transient"].get("display_id")] = content["data"].get("text/plain", "")
    assert not any("no connection to the sandbox" in text for text in shown.values())


def test_each_quick_fault_and_each_stage_is_in_every_run() -> None:
    assert {kind(fault) for fault, _ in REPRESENTATIVES} == set(QUICK)
    assert {stage.name for _, stage in REPRESENTATIVES} == {stage.name for stage in STAGES}
