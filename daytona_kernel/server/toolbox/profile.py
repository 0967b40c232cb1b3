"""The profiles of the server: the behaviours in which servers of Daytona's API differ, and a client can tell.

`OWN` is the server's own profile, which loses nothing and waits for nothing. `DAYTONA` behaves as Daytona's
daemon and control plane do, so that clients meet here what they meet there. The parts of the server ask the
profile; none asks which one it is. No profile keeps the order between stdout and stderr: they are two pipes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from .. import limits
from .log_encoding import LabeledLog, MarkedLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .log_encoding import LogEncoder

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The behaviours of one server. Times are in seconds.

    Sandboxes:
        passing_seconds: how long a sandbox stays in a state that it leaves by itself. Unless it is 0, the
            answer to a change comes at the start of the change, and the sandbox refuses other changes.
        sizes_need_image: whether only a sandbox from an image may have a size. An image is then accepted,
            and stands for this machine's own programs.
        starts_at_home: whether the working directory is the home directory and not the workspace.
        expands_home: whether `~` stands for the home directory in paths of requests.
    One-off runs:
        kills_group: whether a timeout kills only the process group, and its answer waits for the rest.
        joins_arguments: whether a shell splits the arguments of code again.
    Sessions:
        sources_commands: whether the shell sources a command as a file, and traps the signals of a terminal.
        waits_for_streams: whether a command lasts until its streams end, which background jobs may hold.
        reports_ended_shells: whether commands get an exit code when their shell ends.
        unreadable_seconds: how long the exit code of a command cannot be read after its end.
        shuffles_lists: whether sessions, and the commands of a session, are listed in random order.
    Logs:
        log_encoder: makes the encoder of a command's log.
        frame_bytes: the most bytes in a frame of a followed log.
        close_seconds: the time from a command's end to the end of its followers.
        tells_end: whether the end of a follower says the exit code and the size.
        has_ranges: whether a part of a log can be requested.
    Files:
        explains_refusals: whether the refusal of a file operation has a body. If not, the refusal of an
            upload has a list of errors.
    """

    name: str
    passing_seconds: float
    sizes_need_image: bool
    starts_at_home: bool
    expands_home: bool
    kills_group: bool
    joins_arguments: bool
    sources_commands: bool
    waits_for_streams: bool
    reports_ended_shells: bool
    unreadable_seconds: float
    shuffles_lists: bool
    log_encoder: Callable[[], LogEncoder]
    frame_bytes: int
    close_seconds: float
    tells_end: bool
    has_ranges: bool
    explains_refusals: bool

    def listed(self, items: Iterable[T]) -> list[T]:
        """Return sessions or commands in the order in which a request lists them."""
        found = list(items)
        return random.sample(found, len(found)) if self.shuffles_lists else found


OWN = Profile(
    name="own",
    passing_seconds=0.0,
    sizes_need_image=False,
    starts_at_home=False,
    expands_home=True,
    kills_group=False,
    joins_arguments=False,
    sources_commands=False,
    waits_for_streams=False,
    reports_ended_shells=True,
    unreadable_seconds=0.0,
    shuffles_lists=False,
    log_encoder=MarkedLog,
    frame_bytes=limits.FRAME_BYTES,
    close_seconds=0.0,
    tells_end=True,
    has_ranges=True,
    explains_refusals=True,
)
DAYTONA = Profile(
    name="daytona",
    passing_seconds=0.3,
    sizes_need_image=True,
    starts_at_home=True,
    expands_home=False,
    kills_group=True,
    joins_arguments=True,
    sources_commands=True,
    waits_for_streams=True,
    reports_ended_shells=False,
    unreadable_seconds=0.001,
    shuffles_lists=True,
    log_encoder=LabeledLog,
    frame_bytes=1024,
    close_seconds=1.0,
    tells_end=False,
    has_ranges=False,
    explains_refusals=False,
)
PROFILES = {profile.name: profile for profile in (OWN, DAYTONA)}
