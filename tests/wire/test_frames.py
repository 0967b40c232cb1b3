"""The splitter of websocket frames, against the frames that a library writes."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from daytona_kernel.wire.frames import FrameSplitter

FRAMES = [
    Frame(Opcode.BINARY, b"a short one"),
    Frame(Opcode.PING, b"are you there"),
    Frame(Opcode.TEXT, b""),
    Frame(Opcode.BINARY, b"b" * 126, fin=False),
    Frame(Opcode.PING, b""),
    Frame(Opcode.CONT, b"c" * 300),
    Frame(Opcode.TEXT, b"d" * 70_000),
    Frame(Opcode.CLOSE, b"\x03\xe8exit 0"),
]
WIRE = b"".join(frame.serialize(mask=False) for frame in FRAMES)
PAYLOADS = b"".join(frame.data for frame in FRAMES if frame.opcode in (0, 1, 2))
OTHERS = b"".join(frame.serialize(mask=False) for frame in FRAMES if frame.opcode not in (0, 1, 2))


def joined(pieces: list[tuple[bool, bytes]]) -> tuple[bytes, bytes]:
    return b"".join(p for is_data, p in pieces if is_data), b"".join(
        p for is_data, p in pieces if not is_data
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 127, 1_000, 65_537, len(WIRE)])
def test_pieces_do_not_depend_on_where_the_bytes_were_cut(size: int) -> None:
    splitter = FrameSplitter()
    pieces = [
        piece for start in range(0, len(WIRE), size) for piece in splitter.feed(WIRE[start : start + size])
    ]
    assert joined(pieces) == (PAYLOADS, OTHERS)
    assert all(piece for _, piece in pieces)


def test_every_single_cut() -> None:
    wire = WIRE[:600]
    whole = joined(FrameSplitter().feed(wire))
    for cut in range(len(wire)):
        splitter = FrameSplitter()
        assert joined(splitter.feed(wire[:cut]) + splitter.feed(wire[cut:])) == whole


def test_a_piece_of_a_payload_waits_for_nothing() -> None:
    splitter = FrameSplitter()
    assert splitter.feed(WIRE[:6]) == [(True, b"a sh")]
    assert splitter.feed(WIRE[6:8]) == [(True, b"or")]


COMPRESSED, MASKED, RESERVED = b"\xc2\x01x", b"\x82\x81mask\x15", b"\x83\x01x"


@pytest.mark.parametrize("wire", [COMPRESSED, MASKED, RESERVED])
def test_a_fault_is_left_to_whoever_gets_the_other_frames(wire: bytes) -> None:
    assert joined(FrameSplitter().feed(wire))[1][:3] == wire[:3]
