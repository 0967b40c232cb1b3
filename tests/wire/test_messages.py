"""The framing, against Jupyter's own implementation of it and against broken bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)

from daytona_kernel.wire.messages import FrameError, Message, decode_frame, encode_frame, encode_json

parts = st.lists(st.binary(max_size=40), min_size=4, max_size=8)
channels = st.sampled_from(["shell", "iopub", "stdin", "control", "agent"])


@given(channels, parts)
def test_frames_are_those_of_jupyter_server(channel: str, parts: list[bytes]) -> None:
    frame = encode_frame(Message(channel, parts))
    assert frame == serialize_msg_to_ws_v1(parts, channel)
    assert deserialize_msg_from_ws_v1(frame) == (channel, parts)


@given(channels, parts, st.binary(max_size=9))
def test_a_frame_comes_back_as_it_was(channel: str, parts: list[bytes], prefix: bytes) -> None:
    message = decode_frame(encode_frame(Message(channel, parts), prefix), len(prefix))
    assert (message.channel, message.parts) == (channel, parts)


@given(channels, parts, st.data())
def test_a_frame_that_was_cut_or_has_trailing_bytes_is_refused(
    channel: str, parts: list[bytes], data: st.DataObject
) -> None:
    frame = encode_frame(Message(channel, parts))
    cut = data.draw(st.integers(0, len(frame) - 1))
    with pytest.raises(FrameError):
        decode_frame(frame[:cut])
    with pytest.raises(FrameError):
        decode_frame(frame + b"x")


@given(st.binary(max_size=55))
def test_noise_is_refused_in_words(noise: bytes) -> None:
    # No random bytes of this length happen to be a whole frame: its offsets alone would fill them.
    with pytest.raises(FrameError, match=r"\w"):
        decode_frame(noise)


def test_routing_reads_header_and_parent() -> None:
    message = Message.make(
        "shell", {"msg_id": "1", "msg_type": "execute_request"}, {"code": "é"}, b'{"msg_id":"0"}'
    )
    assert (message.msg_type, message.msg_id, message.parent_id) == ("execute_request", "1", "0")
    assert message.content == {"code": "é"}


def test_lone_surrogates_survive() -> None:
    assert encode_json({"text": "\ud800é"}) == b'{"text":"\\ud800\\u00e9"}'
