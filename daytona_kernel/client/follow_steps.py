"""The steps of the protocol that follows a log: what it asks of the program that has the connection."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..wait_limit import limited
from .exchange import Request
from .exchange import Step as ApiStep

if TYPE_CHECKING:
    from ..wire.logs import LogChunk


@dataclass(frozen=True, slots=True)
class FollowTimings:
    """The waits of a follower, in seconds.

    first_question: how long a stream may be silent before the protocol asks for the exit code, unless
        the server closes the stream at the command's end.
    first_quiet, longest_quiet: how long a stream may be silent before the protocol also reads the log;
        the first doubles up to the longest.
    first_pause, longest_pause: the pause before another attempt; likewise.
    give_up: nothing but failures for this long raises the last of them.
    """

    first_question: float = 0.05
    first_quiet: float = 2.0
    longest_quiet: float = 30.0
    first_pause: float = 0.1
    longest_pause: float = 2.0
    give_up: float = limited(300.0)


class Source(Enum):
    """The two ways to read a log."""

    STREAM = "websocket"
    BODY = "GET"


@dataclass(frozen=True, slots=True)
class Open:
    """Open a source and close the one opened before. The outcome is the response without its body."""

    source: Source
    request: Request


@dataclass(frozen=True, slots=True)
class Receive:
    """Receive a piece. The outcome is bytes, None after `seconds` without any, or b"" at a body's end.

    seconds: None waits forever. The outcome of any end of a stream is `Ended`. A body that breaks off
    raises DaytonaConnectionError.
    """

    source: Source
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a stream, with the reason of its close frame; "" for none."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Close:
    """Close a source."""

    source: Source


@dataclass(frozen=True, slots=True)
class Deliver:
    """Deliver chunks of the log to the reader."""

    chunks: list[LogChunk]


Step = ApiStep | Open | Receive | Close | Deliver
Steps = Generator[Step, Any, None]
