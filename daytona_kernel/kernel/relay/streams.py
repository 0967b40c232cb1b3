"""Streams whose messages are masked together, since a program may print a secret in two pieces.

The end of a text that may be the beginning of a secret is held back for a moment. If the rest comes later
than that, only the rest is masked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ... import masking

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire.messages import Message

# Nobody notices a delay of this length, in seconds. Most programs print both pieces within it.
_HOLD_SECONDS = 0.02
_LINE_END = b'\\n"}'


@dataclass
class _Stream:
    """The end of a stream. shown: what front ends have. held: what they do not have yet."""

    message: Message
    shown: str = ""
    held: str = ""
    timer: asyncio.TimerHandle | None = None


class Streams:
    """The streams of cells that are in the middle of a line. They belong to the relay's loop.

    publish: sends a message on iopub.
    """

    def __init__(self, publish: Callable[[Message], None]) -> None:
        self._publish = publish
        # The one stream of each cell that was written to last, by the id of its request.
        self._streams: dict[str, tuple[str, _Stream]] = {}

    def publish(self, message: Message) -> None:
        """Publish a `stream` message, perhaps without its end."""
        # A secret has no end of line in it, so most messages need no look.
        if message.parent_id not in self._streams and bytes(message.parts[3][-len(_LINE_END) :]) == _LINE_END:
            self._publish(message)
            return
        content = message.content
        name, text = content.get("name"), content.get("text")
        if not isinstance(name, str) or not isinstance(text, str) or not masking.longest():
            self._publish(message)
            return
        known, stream = self._streams.get(message.parent_id, ("", None))
        if stream is None or known != name:
            self.end(message.parent_id)
            stream = _Stream(message)
            self._streams[message.parent_id] = name, stream
        elif stream.timer is not None:
            stream.timer.cancel()
        stream.message = message
        masked, held = masking.mask_continued(stream.shown, stream.held + text)
        self._show(stream, masked)
        stream.held = held
        if held:
            stream.timer = asyncio.get_running_loop().call_later(_HOLD_SECONDS, self._release, stream)
        elif not stream.shown:
            del self._streams[message.parent_id]

    def end(self, parent_id: str) -> None:
        """Publish what is held back of a cell's streams, because another of its messages follows."""
        _, stream = self._streams.pop(parent_id, ("", None))
        if stream is not None:
            self._release(stream)

    def _release(self, stream: _Stream) -> None:
        if stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None
        held, stream.held = stream.held, ""
        self._show(stream, held)

    def _show(self, stream: _Stream, text: str) -> None:
        if text:
            self._publish(stream.message.with_content({**stream.message.content, "text": text}))
            stream.shown = (stream.shown + text).rpartition("\n")[2][-masking.longest() :]
