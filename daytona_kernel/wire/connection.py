"""One connection of a link, without I/O: greeting, acknowledgements and packets, for both ends.

Text messages are JSON objects with a `type`, binary messages are packets of the link. The kernel opens
with Hello, the agent replies with Welcome, and from then on both send packets and Acknowledgement. The
owner of a side passes on what arrives (`receive`) and sends what is there to send (`outgoing`). It closes
the connection with the code of an error that `receive` raises.
"""

from __future__ import annotations

import hmac
from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar

from .link import Link
from .messages import encode_json
from .schema import ProtocolError, TypedMessage, by_type, decode_tagged, encode_tagged, parse_object

if TYPE_CHECKING:
    from .messages import Message

# Change this number with every change of a message that the other end would not understand.
PROTOCOL_VERSION = 7

# An end that has not heard the other's greeting after so many seconds closes the connection.
GREETING_SECONDS = 10.0

# A websocket carries no longer reason, in bytes.
_MAX_REASON = 123


class CloseCode(IntEnum):
    """The websocket's close codes after which a new connection would end in the same way."""

    REFUSED = 4001  # the greeting is missing or has the wrong secret
    LOST = 4002  # the ends cannot agree on what comes next, or one of them broke the protocol
    REPLACED = 4003  # the kernel has opened another connection
    UNSUPPORTED = 4004  # the ends speak different versions of the protocol


class RefusedError(ProtocolError):
    """The connection cannot be used. code: for the websocket's close frame."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Hello:
    """The kernel's greeting.

    version: PROTOCOL_VERSION. secret: what the agent was started with. link: the agent's link id.
    received: the last number that the kernel has received; None for a kernel that does not know.
    is_new: whether this kernel was never connected to the agent. It may take the place of one that crashed.
    """

    TYPE: ClassVar[str] = "hello"

    version: int
    secret: str = field(repr=False)
    link: str
    received: int | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Welcome:
    """The agent's reply to Hello.

    version, link: as in Hello. received: the last number that the agent has received.
    resume_after: the last number that the agent will not send again.
    """

    TYPE: ClassVar[str] = "welcome"

    version: int
    link: str
    received: int
    resume_after: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The sender has every message up to and with the number `received`."""

    TYPE: ClassVar[str] = "acknowledgement"

    received: int


class _Side:
    """What both ends do once they have greeted each other.

    A connection that another one has replaced may still be open: its data comes late. It is ignored, because
    it may be from a kernel that has crashed since, and the link carries on over the newer connection.
    """

    link: Link

    def __init__(self) -> None:
        self._texts: deque[str] = deque()
        self._connection = 0
        self.greeted = False

    def receive(self, data: str | bytes) -> Message | None:
        """Take a message of the websocket; return the Jupyter message that it carries, or None.

        Raises ProtocolError, of which RefusedError and LinkError are kinds; see `closing`.
        """
        if self.greeted and not self.is_current:
            return None
        if isinstance(data, str):
            content = parse_object(data)
            if self.greeted:
                acknowledgement = decode_tagged(_ACKNOWLEDGEMENT, content)
                self.link.acknowledged(acknowledgement.received)
            else:
                self._take_greeting(content)
                self._connection = self.link.connection
                self.greeted = True
            return None
        if not self.greeted:
            raise RefusedError(CloseCode.REFUSED, "the greeting must come first")
        message = self.link.receive(data)
        if self.link.acknowledgement_due:
            self.acknowledge()
        return message

    def outgoing(self) -> str | bytes | None:
        """Return the next message for the websocket, or None when everything was sent."""
        if self._texts:
            return self._texts.popleft()
        return self.link.outgoing() if self.is_current else None

    @property
    def is_current(self) -> bool:
        """Whether this is the link's connection: it was greeted, and no other one after it."""
        return self.greeted and self._connection == self.link.connection

    @property
    def acknowledgement_owed(self) -> bool:
        """Whether the owner must call `acknowledge` within link.ACKNOWLEDGE_SECONDS."""
        return self.is_current and self.link.acknowledgement_owed

    def acknowledge(self) -> None:
        """Put an acknowledgement among what is to be sent, if one is owed."""
        if self.acknowledgement_owed:
            self._say(Acknowledgement(self.link.acknowledge()))

    def _take_greeting(self, content: dict[str, Any]) -> None:
        raise NotImplementedError

    def _say(self, message: TypedMessage) -> None:
        self._texts.append(encode_json(encode_tagged(message)).decode())


class KernelSide(_Side):
    """The kernel's end of one connection.

    link: of the connection before; None for the first one, when `receive` makes it from the Welcome.
    bookmark: on the first connection, the last number that the kernel before has received; None if nobody
        knows.
    """

    def __init__(self, link: Link | None, secret: str, link_id: str, bookmark: int | None = None) -> None:
        super().__init__()
        self._link_id = link_id
        self._resumes = link is not None
        if link is not None:
            self.link = link
        received = bookmark if link is None else link.received
        self._say(Hello(PROTOCOL_VERSION, secret, link_id, received, link is None))

    def _take_greeting(self, content: dict[str, Any]) -> None:
        _require_version(content.get("version"), "the agent", "this kernel")
        welcome = decode_tagged(_WELCOME, content)
        if welcome.link != self._link_id:
            raise RefusedError(CloseCode.LOST, "this is another agent")
        if min(welcome.received, welcome.resume_after) < 0:
            raise ProtocolError("welcome: a sequence number is negative")
        if self._resumes:
            self.link.resume(welcome.received)
        else:
            self.link = Link(sent=welcome.received, received=welcome.resume_after)


class AgentSide(_Side):
    """The agent's end of one connection. secret, link_id: what the Hello must have."""

    def __init__(self, link: Link, secret: str, link_id: str) -> None:
        super().__init__()
        self.link = link
        # Whether the kernel on this connection is new to the agent. Known after the greeting.
        self.is_new_kernel = False
        self._secret = secret
        self._link_id = link_id

    def _take_greeting(self, content: dict[str, Any]) -> None:
        if content.get("type") != Hello.TYPE:
            raise RefusedError(CloseCode.REFUSED, "the greeting must come first")
        _require_version(content.get("version"), "the kernel", "this agent")
        hello = decode_tagged(_HELLO, content)
        if not hmac.compare_digest(hello.secret.encode(errors="replace"), self._secret.encode()):
            raise RefusedError(CloseCode.REFUSED, "the secret is not the one of this agent")
        if hello.link != self._link_id:
            raise RefusedError(CloseCode.LOST, "this is another agent")
        self.is_new_kernel = hello.is_new
        # The kernel before may have crashed, and acknowledged more than its bookmark says.
        resume_after = self.link.acknowledged_to if hello.received is None else hello.received
        if hello.is_new:
            resume_after = max(resume_after, self.link.acknowledged_to)
        self.link.resume(resume_after)
        self._say(Welcome(PROTOCOL_VERSION, self._link_id, self.link.received, resume_after))


def closing(error: ProtocolError) -> tuple[CloseCode, str]:
    """Return the close code and the reason for an error that `receive` raised."""
    code = error.code if isinstance(error, RefusedError) else CloseCode.LOST
    return code, str(error).encode()[:_MAX_REASON].decode(errors="ignore")


def _require_version(version: object, other: str, this: str) -> None:
    if type(version) is int and version == PROTOCOL_VERSION:
        return
    # An end from before the first version sends none. Other values of a stranger are not quoted.
    theirs = f"version {version}" if type(version) is int else "an unknown version"
    raise RefusedError(
        CloseCode.UNSUPPORTED,
        f"{other} speaks {theirs} of the protocol, {this} version {PROTOCOL_VERSION}",
    )


_HELLO: dict[str, type[Hello]] = by_type(Hello)
_WELCOME: dict[str, type[Welcome]] = by_type(Welcome)
_ACKNOWLEDGEMENT: dict[str, type[Acknowledgement]] = by_type(Acknowledgement)
