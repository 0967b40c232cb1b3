"""The states of a sandbox in the words of Daytona's API, and what a kernel does in each.

`TABLE` has a row for each state of the API. A sandbox in a state that is not there is left alone, because a
newer API may have more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Course(Enum):
    """What a kernel does that wants to use a sandbox."""

    USE = "uses it"
    WAIT = "waits: it leaves this state by itself, and Daytona refuses changes until then"
    START = "starts it: its files are there"
    RESUME = "resumes it: its files and its processes are there"
    GIVE_UP = "says so: Daytona cannot start it"
    FORGET = "creates another one: it was deleted"


class Processes(Enum):
    """What has become of a sandbox's processes."""

    RUN = "run"
    FROZEN = "are frozen, and go on later"
    ENDED = "have ended or are ending"
    UNKNOWN = "are unknown"


@dataclass(frozen=True, slots=True)
class State:
    """A row of the table."""

    course: Course
    processes: Processes


_UNKNOWN = State(Course.WAIT, Processes.UNKNOWN)
TABLE = {
    "started": State(Course.USE, Processes.RUN),
    "creating": _UNKNOWN,
    "pending_build": _UNKNOWN,
    "building_snapshot": _UNKNOWN,
    "pulling_snapshot": _UNKNOWN,
    "starting": _UNKNOWN,
    "restoring": State(Course.WAIT, Processes.ENDED),
    "resizing": _UNKNOWN,
    "snapshotting": _UNKNOWN,
    "forking": _UNKNOWN,
    "pausing": State(Course.WAIT, Processes.FROZEN),
    "paused": State(Course.RESUME, Processes.FROZEN),
    "resuming": State(Course.WAIT, Processes.FROZEN),
    "stopping": State(Course.WAIT, Processes.ENDED),
    "stopped": State(Course.START, Processes.ENDED),
    "archiving": State(Course.WAIT, Processes.ENDED),
    "archived": State(Course.START, Processes.ENDED),
    "error": State(Course.GIVE_UP, Processes.ENDED),
    "build_failed": State(Course.GIVE_UP, Processes.ENDED),
    "destroying": State(Course.FORGET, Processes.ENDED),
    "destroyed": State(Course.FORGET, Processes.ENDED),
    "unknown": _UNKNOWN,
}


def state_of(name: str) -> State:
    """Return the row of a state."""
    return TABLE.get(name, _UNKNOWN)
