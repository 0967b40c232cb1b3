"""Jupyter messages as bytes: the framing of the subprotocol `v1.kernel.websocket.jupyter.org`.

A frame is a table of offsets and then the parts: the channel's name, header, parent header, metadata,
content, and any number of buffers. The table consists of little-endian 64-bit numbers: their count, the
start of each part, and the end of the last. The parts are the bytes that Jupyter signs and sends. Only
what routing needs is parsed, at its first use.
"""

from __future__ import annotations

import json
import struct
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .schema import ProtocolError, parse_object

if TYPE_CHECKING:
    from collections.abc import Sequence

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"

# header, parent header, metadata, content
_FIXED_PARTS = 4
_OFFSET_BYTES = 8
# A part larger than this is a view of its frame and not a copy.
_VIEW_BYTES = 1 << 16

Part = bytes | memoryview


class FrameError(ProtocolError):
    """The bytes are not a frame of a Jupyter message."""


class Message:
    """One Jupyter message on one channel.

    channel: `shell`, `iopub`, `stdin` or `control`; or `agent` for the messages between kernel and agent.
    parts: header, parent header, metadata and content as JSON bytes, then the buffers.
    """

    def __init__(self, channel: str, parts: Sequence[Part]) -> None:
        self.channel = channel
        self.parts = list(parts)

    @classmethod
    def make(
        cls, channel: str, header: dict[str, Any], content: dict[str, Any], parent: Part = b"{}"
    ) -> Message:
        """Build a message from dicts; `parent` is the parent's header as bytes."""
        return cls(channel, [encode_json(header), parent, b"{}", encode_json(content)])

    @cached_property
    def header(self) -> dict[str, Any]:
        """The header, parsed."""
        return _parse_object(self.parts[0])

    @cached_property
    def parent_header(self) -> dict[str, Any]:
        """The parent header, parsed; empty when the message has no parent."""
        return _parse_object(self.parts[1])

    @property
    def content(self) -> dict[str, Any]:
        """The content, parsed at each use: most messages pass through without one."""
        return _parse_object(self.parts[3])

    @property
    def msg_type(self) -> str:
        """The message type, empty when the header has none."""
        return str(self.header.get("msg_type", ""))

    @property
    def msg_id(self) -> str:
        """The message's id, empty when the header has none."""
        return str(self.header.get("msg_id", ""))

    @property
    def parent_id(self) -> str:
        """The id of the request that caused this message, empty when there is none."""
        return str(self.parent_header.get("msg_id", ""))

    def with_content(self, content: dict[str, Any]) -> Message:
        """Return this message with another content."""
        return Message(self.channel, [*self.parts[:3], encode_json(content), *self.parts[4:]])

    def __repr__(self) -> str:
        size = sum(map(len, self.parts))
        return f"<Message {self.channel} {self.msg_type} {self.msg_id} parent={self.parent_id} {size} bytes>"


def encode_json(value: object) -> bytes:
    """Encode a value as Jupyter does, in UTF-8 without spaces. Lone surrogates stay escaped."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def encode_frame(message: Message, prefix: bytes = b"") -> bytes:
    """Return a message's frame behind the prefix. The frame is not copied for it."""
    parts = [message.channel.encode(), *message.parts]
    position = _OFFSET_BYTES * (len(parts) + 2)
    offsets = [len(parts) + 1, position]
    for part in parts:
        position += len(part)
        offsets.append(position)
    return b"".join([prefix, struct.pack(f"<{len(offsets)}Q", *offsets), *parts])


def decode_frame(frame: bytes, start: int = 0) -> Message:
    """Return the message whose frame starts at byte `start`. Raises FrameError."""
    size = len(frame) - start
    if size < _OFFSET_BYTES:
        raise FrameError("the frame is shorter than its table of offsets")
    (count,) = struct.unpack_from("<Q", frame, start)
    if count < _FIXED_PARTS + 2 or size < _OFFSET_BYTES * (count + 1):
        raise FrameError(f"{count} offsets do not make a message")
    offsets = struct.unpack_from(f"<{count}Q", frame, start + _OFFSET_BYTES)
    if offsets[0] != _OFFSET_BYTES * (count + 1) or offsets[-1] != size or list(offsets) != sorted(offsets):
        raise FrameError("the offsets do not fit the frame")
    view = memoryview(frame)[start:]
    channel, *parts = (
        # A view of a large part keeps little more alive than the part, and saves a copy.
        view[first:end] if end - first > _VIEW_BYTES else bytes(view[first:end])
        for first, end in pairwise(offsets)
    )
    try:
        return Message(bytes(channel).decode("ascii"), parts)
    except UnicodeDecodeError as error:
        raise FrameError("the channel's name is not text") from error


def _parse_object(data: Part) -> dict[str, Any]:
    return parse_object(data if isinstance(data, bytes) else bytes(data))
