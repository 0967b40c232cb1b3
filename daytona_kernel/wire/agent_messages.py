"""The messages on the channel `agent`: the interpreter's life, interrupts, usage, and magic calls.

On the link each is a Jupyter message whose header has only `msg_type`, the class's `TYPE`, and whose
content has the fields. See docs/protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from .magic_messages import MagicAnswer
from .messages import Message
from .schema import ProtocolError, by_type, decode_fields, encode_fields

CHANNEL = "agent"

# No message about the interpreter's life needs more. The steps of a magic may be as large as its output.
MAX_LIFE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Ready:
    """An interpreter has started and answers.

    pid: its process id in the sandbox. kernel_info: the content of its `kernel_info_reply`.
    """

    TYPE: ClassVar[str] = "ready"

    pid: int
    kernel_info: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """The interpreter has ended, and the agent starts another. Requests without a reply are lost.

    status: the exit status, or the number of the signal that ended it, negated. out_of_memory: whether the
    kernel of the machine ended it because the sandbox's memory was used up; False also if that is unknown.
    """

    TYPE: ClassVar[str] = "ended"

    status: int
    out_of_memory: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The agent has given up: no interpreter stays alive. reason: a sentence for a person."""

    TYPE: ClassVar[str] = "failed"

    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The interpreter has been sent the signal that `Interrupt` asked for."""

    TYPE: ClassVar[str] = "interrupted"


@dataclass(frozen=True, slots=True)
class Unstarted:
    """An interrupt came while the interpreter was starting. The waiting cells will not run.

    msg_ids: the ids of their execute_requests.
    """

    TYPE: ClassVar[str] = "unstarted"

    msg_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Running:
    """The answer to a kernel that is new to the agent: the cells that the previous kernel has sent.

    cells: the headers of the `execute_request`s that have no reply yet, in order.
    """

    TYPE: ClassVar[str] = "running"

    cells: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The answer to a `usage_request`, which the agent measures itself.

    msg_id: the request's id. reply: the content of the `usage_reply`.
    """

    TYPE: ClassVar[str] = "usage_report"

    msg_id: str
    reply: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MagicClosed:
    """A magic's cell was interrupted, or its interpreter is gone.

    The kernel ends what the magic call started, and then sends the call's `MagicEnd`.
    """

    TYPE: ClassVar[str] = "magic_closed"

    call_id: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Interrupt the code that the interpreter runs, or give up the cells that wait for it."""

    TYPE: ClassVar[str] = "interrupt"


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the interpreter in good order, and then the agent. `Ended` is the last message."""

    TYPE: ClassVar[str] = "shutdown"


FromAgent = Ready | Ended | Failed | Interrupted | Unstarted | Running | UsageReport | MagicClosed
ToAgent = Interrupt | Shutdown | MagicAnswer

_FROM_AGENT: dict[str, type[FromAgent]] = by_type(FromAgent)
_TO_AGENT: dict[str, type[ToAgent]] = by_type(ToAgent)

T = TypeVar("T")


def encode_agent_message(message: FromAgent | ToAgent) -> Message:
    """Return the Jupyter message that carries this one over the link."""
    return Message.make(CHANNEL, {"msg_type": message.TYPE}, encode_fields(message))


def decode_from_agent(message: Message) -> FromAgent:
    """Return what the agent says with a message on the channel `agent`. Raises ProtocolError."""
    if len(message.parts[3]) > MAX_LIFE_BYTES:
        raise ProtocolError("a message about the interpreter is too large")
    return _decode(_FROM_AGENT, message)


def decode_to_agent(message: Message) -> ToAgent:
    """Return what the kernel says with a message on the channel `agent`. Raises ProtocolError."""
    return _decode(_TO_AGENT, message)


def _decode(kinds: dict[str, type[T]], message: Message) -> T:
    kind = kinds.get(message.msg_type)
    if message.channel != CHANNEL or kind is None:
        raise ProtocolError("a message on the channel agent has an unknown type")
    return decode_fields(kind, message.content)
