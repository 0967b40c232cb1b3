"""The frames of a websocket, as a client gets them: told apart by their heads, and cut wherever they come.

For who wants the bytes of data frames as they come and leaves all other frames to a library: of a
data frame only the length matters then.
"""

from __future__ import annotations

_CONTINUATION, _TEXT, _BINARY = 0, 1, 2
_DATA = (_CONTINUATION, _TEXT, _BINARY)
# What the second byte says instead of a length that does not fit: in how many bytes it follows.
_LENGTH_BYTES = {126: 2, 127: 8}


class FrameSplitter:
    """Bytes of a connection in, payloads of data frames and other frames out."""

    def __init__(self) -> None:
        self._begun = b""  # of a head
        self._left = 0  # bytes of the frame that are still to come
        self._is_data = False

    def feed(self, data: bytes) -> list[tuple[bool, bytes]]:
        """Return the pieces that `data` holds, in order, and whether each is of a data frame's payload.

        Pieces of other frames have their heads, as do frames that use a bit which data frames here must
        not use (compression, a mask): whoever gets these finds the fault.
        """
        data = self._begun + data
        self._begun = b""
        pieces: list[tuple[bool, bytes]] = []
        start, end = 0, len(data)
        while start < end:
            if not self._left:
                second = data[start + 1] if start + 1 < end else 0
                head = 2 + _LENGTH_BYTES.get(second & 0x7F, 0)
                if start + head > end:
                    self._begun = data[start:]
                    break
                size = second & 0x7F if head == 2 else int.from_bytes(data[start + 2 : start + head])
                self._is_data = data[start] & 0x7F in _DATA and second < 0x80
                self._left = size if self._is_data else head + size
                start += head if self._is_data else 0
            stop = min(end, start + self._left)
            if stop > start:
                pieces.append((self._is_data, data[start:stop]))
            self._left -= stop - start
            start = stop
        return pieces
