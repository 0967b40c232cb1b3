"""The matrix: each fault at each stage. A combination that makes no sense is left out, with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .faults import FAULTS, KILLED, PAUSED, SANDBOX_FAULTS, STOPPED, Fault, NetworkFault
from .proxy import Where
from .stages import BREAKPOINT, CREATING, IDLE, INPUT, LOG, STAGES, STARTING, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def _of(role: str, faults: Iterable[Fault]) -> list[Fault]:
    return [fault for fault in faults if fault.name.startswith(role)]


_PROCESS_FAULTS = [*KILLED, *PAUSED, *STOPPED]
_INSIDE = ("supervisor", "agent", "interpreter")
_IN_SANDBOX = [fault for role in _INSIDE for fault in _of(role, _PROCESS_FAULTS)]
_AT_PREVIEW = [fault for fault in FAULTS if isinstance(fault, NetworkFault) and fault.where is Where.PREVIEW]
_ENDS_OF_KERNEL = _of("kernel", [*KILLED, *STOPPED])

LEFT_OUT: list[tuple[Sequence[Fault], Sequence[Stage], str]] = [
    (
        [*_IN_SANDBOX, *SANDBOX_FAULTS],
        [CREATING],
        "there is no such process and no sandbox yet",
    ),
    (
        _AT_PREVIEW,
        [CREATING],
        "the preview is not used yet",
    ),
    (
        _of("kernel", _PROCESS_FAULTS),
        [CREATING, STARTING],
        "front ends send no cell before the kernel answers, and report its end themselves",
    ),
    (
        _of("kernel", STOPPED),
        [INPUT],
        "the answer ends with the stopped kernel; the question appears again as after a kill",
    ),
    (
        _ENDS_OF_KERNEL,
        [LOG],
        "the view ends with its kernel; tests/views/test_leftover_log.py has what remains of it",
    ),
    (
        _ENDS_OF_KERNEL,
        [BREAKPOINT],
        "the debugger's state is the front end's, and a new kernel has none",
    ),
    (
        _of("kernel", STOPPED),
        [IDLE],
        "a cell that a stopped kernel has not read ends with it, as with every kernel",
    ),
    (
        _of("interpreter", STOPPED),
        STAGES,
        "nobody can tell it from code that computes; tests/kernel/test_interrupts.py has what a person sees",
    ),
]


def reason_to_leave_out(fault: Fault, stage: Stage) -> str | None:
    """Return the reason why a fault is not tried at a stage; None if it is."""
    return next((reason for faults, stages, reason in LEFT_OUT if fault in faults and stage in stages), None)


CELLS = [(fault, stage) for fault in FAULTS for stage in STAGES if reason_to_leave_out(fault, stage) is None]


def kind(fault: Fault) -> str:
    """Return the fault's name, without the place in the network."""
    return fault.name.partition(",")[0]


def _representatives() -> list[tuple[Fault, Stage]]:
    """Return a cell for each kind of fault that is quick, so that all stages and places appear."""
    chosen: list[tuple[Fault, Stage]] = []
    uses = dict.fromkeys(STAGES, 0)
    for number, name in enumerate(QUICK):
        faults = list(dict.fromkeys(fault for fault, _ in CELLS if kind(fault) == name))
        fault = faults[number % len(faults)]
        stage = min((stage for of, stage in CELLS if of is fault), key=uses.__getitem__)
        uses[stage] += 1
        chosen.append((fault, stage))
    return chosen


# A server or an agent that never answers costs half a minute, whatever the stage.
QUICK = [
    name
    for name in dict.fromkeys(kind(fault) for fault, _ in CELLS)
    if name not in ("server stopped for good", "agent stopped for good")
]
REPRESENTATIVES = _representatives()
