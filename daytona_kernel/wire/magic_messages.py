"""The messages of magic calls, between the interpreter, where the cell runs, and the kernel.

The interpreter asks in Jupyter messages of type `daytona_magic` on iopub, so that a request comes after
everything that the cell has printed before. The kernel answers on the channel `agent`; the agent passes each
answer to the waiting cell as one line of JSON over a unix socket. See docs/protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .messages import encode_json
from .schema import ProtocolError, by_type, decode_tagged, encode_tagged, parse_object
from .values import EncodedValue  # noqa: TC001  # the schema reads the annotations

if TYPE_CHECKING:
    from .messages import Message

MSG_TYPE = "daytona_magic"

# A request holds a cell or one variable (see values.MAX_BYTES), each with the escapes of JSON.
MAX_REQUEST_BYTES = 256 << 20


# What the interpreter says


@dataclass(frozen=True, slots=True)
class MagicCalled:
    """A cell calls a magic, and waits for its MagicEnd.

    call_id: a unique name for this magic call.
    line: the rest of the line after the magic's name. cell: the lines below; None for a line magic.
    assigned: whether the cell assigns the result, as in `x = %sh ls`.
    cwd: the interpreter's current directory; None when it was deleted.
    environ, unset: the variables that cells have set and removed in the interpreter's environment.
    python: the path of the interpreter's Python.
    """

    TYPE: ClassVar[str] = "magic_called"

    call_id: str
    name: str
    line: str
    cell: str | None
    assigned: bool
    cwd: str | None
    environ: dict[str, str]
    unset: tuple[str, ...]
    python: str


@dataclass(frozen=True, slots=True)
class CompletionWanted:
    """A person completes a line with a magic. The MagicEnd has the outcome Completed, or Raised.

    text: the line from the magic's name to the cursor. of_cell: whether it is a cell magic's line.
    """

    TYPE: ClassVar[str] = "completion_wanted"

    call_id: str
    name: str
    text: str
    of_cell: bool


@dataclass(frozen=True, slots=True)
class VariableSent:
    """The answer to VariableWanted: the variable's value."""

    TYPE: ClassVar[str] = "variable_sent"

    call_id: str
    value: EncodedValue


@dataclass(frozen=True, slots=True)
class VariableRefused:
    """The answer to VariableWanted when there is no such variable, or it has no safe form.

    reason: the end of a sentence that begins "… cannot be copied:".
    """

    TYPE: ClassVar[str] = "variable_refused"

    call_id: str
    reason: str


# What the kernel answers


@dataclass(frozen=True, slots=True)
class Print:
    """A step: print in the cell."""

    TYPE: ClassVar[str] = "print"

    stream: Literal["stdout", "stderr"]
    text: str


@dataclass(frozen=True, slots=True)
class Display:
    """A step: display a MIME bundle in the cell."""

    TYPE: ClassVar[str] = "display"

    data: dict[str, Any]
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Assign:
    """A step: set a variable of the user."""

    TYPE: ClassVar[str] = "assign"

    name: str
    value: EncodedValue


@dataclass(frozen=True, slots=True)
class SetEnvironment:
    """A step: the variables that the kernel gives to the interpreter are these, and no others."""

    TYPE: ClassVar[str] = "set_environment"

    variables: dict[str, str] = field(repr=False)


Step = Print | Display | Assign | SetEnvironment


@dataclass(frozen=True, slots=True)
class Returned:
    """An outcome: the magic call has this result, a JSON value. A list becomes IPython's SList."""

    TYPE: ClassVar[str] = "returned"

    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """An outcome: the cell raises an error.

    ename, evalue: its class's name and its text. traceback: the lines to show in place of its own.
    """

    TYPE: ClassVar[str] = "raised"

    ename: str
    evalue: str
    traceback: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Completed:
    """An outcome: the words that may follow. paths: whether paths in the sandbox may follow, too."""

    TYPE: ClassVar[str] = "completed"

    words: tuple[str, ...]
    paths: bool


Outcome = Returned | Raised | Completed


@dataclass(frozen=True, slots=True)
class MagicOutput:
    """Steps that the cell takes, in this order."""

    TYPE: ClassVar[str] = "magic_output"

    call_id: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class VariableWanted:
    """The kernel asks for a variable of the user. The interpreter answers VariableSent or VariableRefused."""

    TYPE: ClassVar[str] = "variable_wanted"

    call_id: str
    name: str


@dataclass(frozen=True, slots=True)
class MagicEnd:
    """The last message of a magic call: the cell takes the steps, and then has the outcome."""

    TYPE: ClassVar[str] = "magic_end"

    call_id: str
    steps: tuple[Step, ...]
    outcome: Outcome


MagicRequest = MagicCalled | CompletionWanted | VariableSent | VariableRefused
MagicAnswer = MagicOutput | VariableWanted | MagicEnd

_REQUESTS: dict[str, type[MagicRequest]] = by_type(MagicRequest)
_ANSWERS: dict[str, type[MagicAnswer]] = by_type(MagicAnswer)


def encode_magic_request(request: MagicRequest) -> dict[str, Any]:
    """Return the content of the `daytona_magic` message that carries a request."""
    return encode_tagged(request)


def decode_magic_request(message: Message) -> MagicRequest:
    """Return the request that a `daytona_magic` message carries. Raises ProtocolError."""
    if len(message.parts[3]) > MAX_REQUEST_BYTES:
        raise ProtocolError("the request of a magic is too large")
    return decode_tagged(_REQUESTS, message.content)


def encode_answer_line(answer: MagicAnswer) -> bytes:
    """Return an answer as a line of the unix socket."""
    return encode_json(encode_tagged(answer)) + b"\n"


def decode_answer_line(line: str | bytes) -> MagicAnswer:
    """Return the answer that a line of the unix socket carries. Raises ProtocolError."""
    return decode_tagged(_ANSWERS, parse_object(line))
