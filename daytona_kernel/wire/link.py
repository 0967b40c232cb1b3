"""One end of a link: messages in order and exactly once, over connections that come and go.

Every message has a sequence number; the first is 1. The sender keeps a message in its journal until the
other end has acknowledged it. On a new connection each end says up to which number it has received, and
the other end sends the rest. A message that arrives twice is dropped. There is no I/O here: the owner
carries packets (`outgoing`, `receive`) and acknowledgements over its connection, and calls `resume` when
it has a new one.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Protocol

from .messages import FrameError, Message, decode_frame, encode_frame
from .schema import ProtocolError

# A receiver acknowledges after so many bytes or messages, and otherwise after so many seconds.
ACKNOWLEDGE_BYTES = 1 << 20
ACKNOWLEDGE_MESSAGES = 256
ACKNOWLEDGE_SECONDS = 0.5

# The sequence number in front of a packet's frame: 64 bits, little-endian.
_SEQUENCE = struct.Struct("<Q")


class LinkError(ProtocolError):
    """The two ends cannot agree on what comes next: a message that one of them needs is gone."""


class Journal(Protocol):
    """The packets that are not acknowledged yet, by sequence number."""

    def append(self, sequence: int, packet: bytes) -> None:
        """Keep a packet. Sequence numbers come in order and without a gap."""

    def read(self, sequence: int) -> bytes:
        """Return a packet. Raises LookupError when it was dropped."""
        ...

    def drop(self, sequence: int) -> None:
        """Forget every packet up to and with this number."""


class MemoryJournal:
    """A journal in memory without bounds, for the end that sends little."""

    def __init__(self) -> None:
        self._first = 1
        self._packets: deque[bytes] = deque()

    def append(self, sequence: int, packet: bytes) -> None:
        """See Journal."""
        if not self._packets:
            self._first = sequence
        self._packets.append(packet)

    def read(self, sequence: int) -> bytes:
        """See Journal."""
        if sequence < self._first:
            raise LookupError(sequence)
        return self._packets[sequence - self._first]

    def drop(self, sequence: int) -> None:
        """See Journal."""
        while self._packets and self._first <= sequence:
            self._packets.popleft()
            self._first += 1


class Link:
    """One end of a link. It belongs to one event loop.

    journal: None for one in memory. sent, received: the last numbers of a link that existed before.
    """

    def __init__(self, journal: Journal | None = None, *, sent: int = 0, received: int = 0) -> None:
        self._journal = journal if journal is not None else MemoryJournal()
        self._last = sent  # the last number given to a message
        self._cursor = sent  # the last number handed to the current connection
        self.acknowledged_to = sent  # the last number that the other end acknowledged
        self.received = received
        self._announced = received  # the last number that this end acknowledged
        self._unannounced_bytes = 0
        self.connection = 0  # the number of the connection that the link uses

    def send(self, message: Message) -> None:
        """Put a message into the journal under the next number, for `outgoing`."""
        self._last += 1
        self._journal.append(self._last, encode_frame(message, _SEQUENCE.pack(self._last)))

    def outgoing(self) -> bytes | None:
        """Return the next packet for the current connection, or None when all have left."""
        if self._cursor >= self._last:
            return None
        self._cursor += 1
        return self._journal.read(self._cursor)

    def receive(self, packet: bytes) -> Message | None:
        """Return the message in a packet, or None if it has arrived before.

        Raises LinkError when a number was skipped, and FrameError when the bytes are not a packet.
        """
        if len(packet) < _SEQUENCE.size:
            raise FrameError("the packet is shorter than its number")
        (sequence,) = _SEQUENCE.unpack_from(packet)
        if sequence <= self.received:
            return None
        if sequence != self.received + 1:
            raise LinkError(f"message {self.received + 1} is missing: {sequence} came next")
        message = decode_frame(packet, _SEQUENCE.size)
        self.received = sequence
        self._unannounced_bytes += len(packet)
        return message

    @property
    def settled(self) -> bool:
        """Whether the other end has acknowledged everything that was sent."""
        return self.acknowledged_to == self._last

    @property
    def acknowledgement_due(self) -> bool:
        """Whether so much has arrived that an acknowledgement should leave now."""
        return (
            self._unannounced_bytes >= ACKNOWLEDGE_BYTES
            or self.received - self._announced >= ACKNOWLEDGE_MESSAGES
        )

    @property
    def acknowledgement_owed(self) -> bool:
        """Whether anything has arrived that was not acknowledged."""
        return self.received > self._announced

    def acknowledge(self) -> int:
        """Return the number for an acknowledgement that leaves now."""
        self._announced = self.received
        self._unannounced_bytes = 0
        return self.received

    def acknowledged(self, sequence: int) -> None:
        """Forget everything up to this number, which the other end has.

        Raises LinkError if no message with this number was sent.
        """
        if sequence > self._last:
            raise LinkError(f"message {sequence} was acknowledged, but {self._last} was the last sent")
        self.acknowledged_to = max(self.acknowledged_to, sequence)
        self._journal.drop(sequence)

    def resume(self, received: int) -> None:
        """Use a new connection, on which the other end needs every message after the number `received`.

        Raises LinkError when one of these is no longer in the journal.
        """
        if received < self.acknowledged_to:
            raise LinkError(f"message {received + 1} is needed again, but no longer kept")
        self.acknowledged(received)
        self.connection += 1
        self._cursor = received
        self._announced = self.received
        self._unannounced_bytes = 0
