"""Each fault at each stage: the cell ends with one sentence or goes on whole, and the next cell works.

`make test-faults` runs the whole matrix. Other runs have a part of it, with each quick fault and each stage.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from .faults import STOPPED
from .matrix import CELLS, QUICK, REPRESENTATIVES, kind
from .stages import STAGES
from .world import NetworkWorld, Running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kernel.driver import Answer

    from .faults import Fault
    from .stages import Stage
    from .world import World

_SENTENCE = re.compile(r"[A-Z0-9][^\n]* [^\n]*[.?)]")
_NO_HISTORY = re.compile(
    r"The history saving thread hit an unexpected error \(.*\)\."
    r"History will not be written to the database\.\n"
)
_NETWORK_GROUPS = 2


class Worlds:
    """The worlds of the tests of one process, one at a time.

    A kernel that has survived its fault serves the next test.
    """

    def __init__(self) -> None:
        self._world: World | None = None

    def open(self, fault: Fault, stage: Stage) -> World:
        """Return a world at the beginning of a stage."""
        if type(self._world) is not fault.world:
            self.close()
        world = self._world = self._world or fault.world()
        if world.manager is None and not stage.starts_kernel:
            world.start()
        return world

    def close(self) -> None:
        world, self._world = self._world, None
        if world is not None:
            world.close()


@pytest.fixture(scope="module")
def worlds() -> Iterator[Worlds]:
    worlds = Worlds()
    yield worlds
    worlds.close()


def _cells() -> Iterator[object]:
    for number, (fault, stage) in enumerate(CELLS):
        at_network = fault.world is NetworkWorld
        # A group shares a kernel. The faults that end it take longest, so each is its own group.
        own = f"fault {number}" if fault in STOPPED else fault.name
        group = f"faults of the network {number % _NETWORK_GROUPS}" if at_network else own
        marks = [pytest.mark.xdist_group(group)]
        if (fault, stage) not in REPRESENTATIVES:
            marks.append(pytest.mark.faults)
        yield pytest.param(fault, stage, id=f"{fault.name}: {stage.name}", marks=marks)


@pytest.mark.parametrize(("fault", "stage"), _cells())
def test_a_fault_at_a_stage(worlds: Worlds, fault: Fault, stage: Stage) -> None:
    worked = False
    try:
        world = worlds.open(fault, stage)
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
        assert printed(following) == "next\n"
        stage.leave(world, running)
        # After a crash, its client gets messages of both kernels. A stopped server is continued only once.
        if world.has_crashed or fault in STOPPED:
            world.end_kernel()
        worked = True
    finally:
        if not worked:
            worlds.close()


def printed(answer: Answer) -> str:
    """Return what a cell has printed. On a full disk IPython prints something, too."""
    return _NO_HISTORY.sub("", answer.stdout)


def check(answer: Answer, stage: Stage, *, crashed: bool) -> None:
    """Check that a cell has gone on whole, or has ended with one sentence."""
    errors = answer.contents("error")
    assert len(errors) <= 1
    if errors:
        assert _SENTENCE.fullmatch(errors[0]["evalue"]), errors[0]["evalue"]
        assert stage.is_start(printed(answer)), answer.stdout
    else:
        assert crashed or answer.reply["status"] == "ok"
        assert stage.is_whole(printed(answer)), answer.stdout
    shown = {}
    for message in answer.messages:
        content = message["content"]
        if message["msg_type"] in ("display_data", "update_display_data"):
            shown[content["transient"].get("display_id")] = content["data"].get("text/plain", "")
    assert not any("no connection to the sandbox" in text for text in shown.values())


def test_each_quick_fault_and_each_stage_is_in_every_run() -> None:
    assert {kind(fault) for fault, _ in REPRESENTATIVES} == set(QUICK)
    assert {stage.name for _, stage in REPRESENTATIVES} == {stage.name for stage in STAGES}
