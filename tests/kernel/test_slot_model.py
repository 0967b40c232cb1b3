"""The interpreter slot against a reference model: cells that wait, a host that is late, losses, and moves.

No cell waits without an owner: while the slot is open, an interpreter is there or the host starts one. The
host never has two starts to answer, and what it answers too late changes nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

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

from .test_slot import PROCESS, IdleInterpreter, Shown

if TYPE_CHECKING:
    from daytona_kernel.interpreter.interpreter import Interpreter
    from daytona_kernel.kernel.out.outbox import Outbox

# More turns of the loop than any step needs.
_TURNS = 12


class SlowInterpreter(IdleInterpreter):
    """An interpreter that takes its time to shut down."""

    def __init__(self) -> None:
        super().__init__()
        self.is_shut: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def shut_down(self) -> None:
        await self.is_shut


class OpenMove:
    """A move, and the outcome of its work. Of a finishing move, `task` is the rest."""

    def __init__(self, move: Move, work: asyncio.Future[str]) -> None:
        self.move = move
        self.work = work
        self.task: asyncio.Task[None] | None = None


class SlotMachine(RuleBasedStateMachine):
    """A slot, its host, and the cells."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.host_starts = True
        self.may_resume = True
        self.current: SlowInterpreter | None = None
        self.ending: list[SlowInterpreter] = []
        self.server_end: str | None = None
        self.ends = self.expected_ends = 0
        self.moves: list[OpenMove] = []
        self.cells: list[asyncio.Task[Interpreter]] = []
        self.on_loop(self.make)

    def make(self) -> None:
        def start(may_resume: bool) -> None:
            assert not self.host_starts
            assert may_resume == self.may_resume
            self.host_starts = True
            self.server_end = None  # the host starts another server

        def end(_reason: str) -> None:
            self.ends += 1

        self.slot = InterpreterSlot(
            start,
            on_message=lambda _message: None,
            on_event=lambda _event: None,
            on_ready=lambda _info: None,
            on_ended=end,
            on_outage=lambda _reason: None,
            on_left=lambda: None,
            server_end=lambda: self.server_end,
        )

    def on_loop(self, function: Any, *arguments: Any) -> Any:
        """Call a function on the loop, and let all that follows from it happen."""

        async def call() -> Any:
            result = function(*arguments)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            return result

        return self.loop.run_until_complete(call())

    @property
    def waiting(self) -> list[asyncio.Task[Interpreter]]:
        return [cell for cell in self.cells if not cell.done()]

    # Cells

    @rule()
    def cell_arrives(self) -> None:
        if self.current is not None and self.server_end is not None:
            self.forget_current(may_resume=False)
        self.on_loop(lambda: self.cells.append(self.loop.create_task(self.wait())))

    async def wait(self) -> Interpreter:
        """Wait as a cell does; see relay.cells."""
        self.slot.check()
        while (interpreter := self.slot.interpreter) is None:
            self.slot.want()
            await self.slot.arrival()
        return interpreter

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cell_is_interrupted(self, data: st.DataObject) -> None:
        self.on_loop(data.draw(st.sampled_from(self.waiting)).cancel)

    # The host. While a move has left and its work has not begun, the answer to an older start may come.

    @precondition(lambda self: self.host_starts)
    @rule()
    def host_connects(self) -> None:
        self.host_starts = False
        self.on_loop(self.connect)

    def connect(self) -> None:
        made: list[SlowInterpreter] = []

        def make(**_callbacks: Any) -> Interpreter:
            made.append(SlowInterpreter())
            return cast("Interpreter", made[0])

        self.slot.connect(PROCESS, make)
        assert bool(made) == (not self.moves)
        if made:
            self.current, self.may_resume = made[0], True

    @precondition(lambda self: self.host_starts)
    @rule()
    def host_fails(self) -> None:
        self.host_starts = False
        failing = [] if self.moves else self.waiting
        self.on_loop(self.slot.fail_start, DaytonaError("no sandbox"))
        assert all(isinstance(cell.exception(), DaytonaError) for cell in failing)

    # Losses

    @precondition(lambda self: self.current is not None)
    @rule(reachable=st.booleans())
    def interpreter_is_lost(self, reachable: bool) -> None:
        assert self.current is not None
        kind: type[InterpreterError] = InterpreterLostError if reachable else InterpreterUnreachableError
        lost = self.current.lost
        self.forget_current(may_resume=not reachable)
        self.on_loop(lost.set_exception, kind("gone"))

    @precondition(lambda self: self.current is not None)
    @rule()
    def server_ends(self) -> None:
        self.server_end = "The server has ended."

    def forget_current(self, *, may_resume: bool) -> None:
        self.current, self.may_resume = None, may_resume
        self.expected_ends += 1

    # Moves

    @precondition(lambda self: len(self.moves) < 2)
    @rule(start=st.booleans(), ends_at_once=st.booleans())
    def move_leaves(self, start: bool, ends_at_once: bool) -> None:
        self.on_loop(self.leave, start)
        if self.current is not None:
            left, self.current, self.may_resume = self.current, None, False
            self.ending.append(left)
            if ends_at_once:
                self.on_loop(left.is_shut.set_result, None)

    def leave(self, start: bool) -> None:
        outcome: asyncio.Future[str] = self.loop.create_future()

        async def work() -> str:
            self.host_starts = False  # see Host._move
            return await outcome

        move = Move(
            Request(Message("shell", [b"{}"] * 4), []),
            work,
            start=start,
            slot=self.slot,
            api=EventLoop(self.loop),
            outbox=cast("Outbox", Shown()),
            others_wait=lambda: bool(self.waiting),
        )
        move.leave()
        self.moves.append(OpenMove(move, outcome))

    @precondition(lambda self: any(each.task is None for each in self.moves))
    @rule()
    def move_works(self) -> None:
        each = next(each for each in self.moves if each.task is None)

        def begin() -> None:
            each.task = self.loop.create_task(each.move.finish())

        self.on_loop(begin)

    @precondition(lambda self: any(each.task is not None for each in self.moves))
    @rule(succeeds=st.booleans())
    def move_ends(self, succeeds: bool) -> None:
        each = next(each for each in self.moves if each.task is not None)
        for left in self.ending:
            self.old_interpreter_ends(left)
        self.moves.remove(each)
        if succeeds:
            self.on_loop(each.work.set_result, "Moved.")
        else:
            self.on_loop(each.work.set_exception, DaytonaError("refused"))
        assert each.task is not None
        assert (each.task.exception() is None) == succeeds

    @precondition(lambda self: any(each.task is None for each in self.moves) and not self.host_starts)
    @rule()
    def move_is_abandoned(self) -> None:
        each = next(each for each in self.moves if each.task is None)
        self.moves.remove(each)
        self.on_loop(each.move.abandon)
        each.work.cancel()

    @precondition(lambda self: self.ending)
    @rule(data=st.data())
    def old_interpreter_is_lost(self, data: st.DataObject) -> None:
        """One that the slot has let go of ends, perhaps after the next one has come."""
        self.old_interpreter_ends(data.draw(st.sampled_from(self.ending)))

    def old_interpreter_ends(self, old: SlowInterpreter) -> None:
        if not old.lost.done():
            self.on_loop(old.lost.set_exception, InterpreterLostError("It has ended."))

    # What holds at every moment

    @invariant()
    def nobody_waits_without_an_owner(self) -> None:
        assert self.slot.interpreter is cast("Any", self.current)
        assert self.ends == self.expected_ends
        if not self.moves:
            assert self.slot.is_starting == self.host_starts
            assert not self.waiting or self.slot.is_starting

    def teardown(self) -> None:
        """Let all be well: each cell gets an interpreter, or has had an error."""
        if not hasattr(self, "slot"):
            return
        while self.moves:
            if any(each.task is None for each in self.moves):
                self.move_works()
            else:
                self.move_ends(succeeds=True)
        self.nobody_waits_without_an_owner()
        if self.host_starts:
            self.host_connects()
        assert not self.waiting
        for old in self.ending:
            self.old_interpreter_ends(old)
        if self.current is not None:
            self.forget_current(may_resume=False)
            last = self.slot.interpreter
            self.on_loop(cast("Any", last).lost.set_exception, InterpreterLostError("gone"))
        self.loop.close()


TestSlot = SlotMachine.TestCase
TestSlot.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
