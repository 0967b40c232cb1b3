"""One end of a link: messages in order and exactly once, over connections that come and go.

Every message carries a sequence number from 1 up. The sender keeps a message in its journal
until the other end has acknowledged it; when a connection is made anew each end says up to which
number it has received, and the other sends on from there. What arrives twice is dropped by its
number. There is no I/O here: the owner moves packets (`outgoing`, `receive`) and acknowledgements
over whatever connection there is, and tells the link when it has a new one (`resume`).
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Protocol

from .messages import FrameError, Message, decode_frame, encode_frame

# A receiver acknowledges after so many bytes or messages, and its owner after so many seconds.
ACKNOWLEDGE_BYTES = 1 << 20
ACKNOWLEDGE_MESSAGES = 256
ACKNOWLEDGE_SECONDS = 0.5


class LinkError(Exception):
    """The two ends cannot agree: a message that one of them needs is gone for good."""


class Journal(Protocol):
    """Packets that are not acknowledged yet, by sequence number."""

    def append(self, sequence: int, packet: bytes) -> None:
        """Keep a packet; sequence numbers come in order without a gap."""

    def read(self, sequence: int) -> bytes:
        """Return a kept packet. Raises LookupError when it was dropped."""
        ...

    def drop(self, sequence: int) -> None:
        """Forget all packets up to and with this number."""


class MemoryJournal:
    """A journal without bounds, for the end that sends little."""

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
    """One end of a link. Not thread-safe: it belongs to one event loop."""

    def __init__(self, journal: Journal | None = None, *, sent: int = 0, received: int = 0) -> None:
        self._journal = journal if journal is not None else MemoryJournal()
        self._last = sent  # the last number given to a message
        self._cursor = sent  # the last number handed to the present connection
        self.acknowledged_to = sent  # the last number that the other end is known to have
        self.received = received
        self._announced = received  # the last number that the other end was told
        self._announced_bytes = 0

    def send(self, message: Message) -> None:
        """Number a message and keep it until it is acknowledged."""
        self._last += 1
        self._journal.append(self._last, encode_frame(message, struct.pack("<Q", self._last)))

    def outgoing(self) -> bytes | None:
        """Return the next packet for the present connection, or None when all are out."""
        if self._cursor >= self._last:
            return None
        self._cursor += 1
        return self._journal.read(self._cursor)

    def receive(self, packet: bytes) -> Message | None:
        """Take a packet from the connection; None when it came before.

        Raises LinkError when a number was skipped, FrameError when it is no packet.
        """
        if len(packet) < 8:
            raise FrameError("the packet is shorter than its number")
        (sequence,) = struct.unpack_from("<Q", packet)
        if sequence <= self.received:
            return None
        if sequence != self.received + 1:
            raise LinkError(f"message {self.received + 1} is missing: {sequence} came next")
        message = decode_frame(packet, 8)
        self.received = sequence
        self._announced_bytes += len(packet)
        return message

    @property
    def acknowledgement_due(self) -> bool:
        """Whether so much has arrived that the other end should hear of it now."""
        return (
            self._announced_bytes >= ACKNOWLEDGE_BYTES
            or self.received - self._announced >= ACKNOWLEDGE_MESSAGES
        )

    @property
    def acknowledgement_owed(self) -> bool:
        """Whether anything has arrived that the other end has not heard of."""
        return self.received > self._announced

    def acknowledge(self) -> int:
        """Return the number to tell the other end, and remember that it was told."""
        self._announced = self.received
        self._announced_bytes = 0
        return self.received

    def acknowledged(self, sequence: int) -> None:
        """The other end has everything up to this number. Raises LinkError for one never sent."""
        if sequence > self._last:
            raise LinkError(f"message {sequence} was acknowledged, but {self._last} was the last sent")
        self.acknowledged_to = max(self.acknowledged_to, sequence)
        self._journal.drop(sequence)

    def resume(self, received: int) -> None:
        """A new connection: the other end has everything up to `received`, send on from there.

        Raises LinkError when what it needs is no longer kept.
        """
        if received < self.acknowledged_to:
            raise LinkError(f"message {received + 1} is needed again, but no longer kept")
        self.acknowledged(received)
        self._cursor = received
        self._announced = self.received
        self._announced_bytes = 0
