"""The messages between kernel, agent and interpreter: each comes back as it went, one way only."""

from __future__ import annotations

from typing import get_args

import pytest

from daytona_kernel.wire.agent_messages import (
    MAX_LIFE_BYTES,
    Ended,
    Failed,
    FromAgent,
    Interrupt,
    Interrupted,
    MagicClosed,
    Ready,
    Running,
    Shutdown,
    ToAgent,
    Unstarted,
    UsageReport,
    decode_from_agent,
    decode_to_agent,
    encode_agent_message,
)
from daytona_kernel.wire.magic_messages import (
    MSG_TYPE,
    Assign,
    Completed,
    CompletionWanted,
    Display,
    MagicAnswer,
    MagicCalled,
    MagicEnd,
    MagicOutput,
    MagicRequest,
    Print,
    Raised,
    Returned,
    VariableRefused,
    VariableSent,
    VariableWanted,
    decode_answer_line,
    decode_magic_request,
    encode_answer_line,
    encode_magic_request,
)
from daytona_kernel.wire.messages import Message, decode_frame, encode_frame
from daytona_kernel.wire.schema import ProtocolError
from daytona_kernel.wire.values import BytesValue, JsonValue, TableValue

FROM_AGENT: list[FromAgent] = [
    Ready(7, {"language_info": {"name": "python"}}),
    Ended(-9, True),
    Failed("No interpreter stays alive."),
    Interrupted(),
    Unstarted(("m1", "m2")),
    Running(({"msg_id": "m1", "msg_type": "execute_request"},)),
    UsageReport("m1", {"pid": 7}),
    MagicClosed("c1"),
]
STEPS = (Print("stderr", "é"), Display({"text/plain": "x"}, {}), Assign("x", TableValue("AAAA", True)))
ANSWERS: list[MagicAnswer] = [
    MagicOutput("c1", STEPS),
    VariableWanted("c1", "x"),
    MagicEnd("c1", (Assign("_exit_code", JsonValue("0")),), Returned(["a", None])),
    MagicEnd("c1", (), Raised("ValueError", "no", None)),
    MagicEnd("c1", (), Raised("ValueError", "no", ("line 1", "line 2"))),
    MagicEnd("c1", (), Completed(("--help",), True)),
]
TO_AGENT: list[ToAgent] = [Interrupt(), Shutdown(), *ANSWERS]
REQUESTS: list[MagicRequest] = [
    MagicCalled("c1", "sh", "ls", None, False, "/tmp", {"A": "1"}, ("B",), "/usr/bin/python3"),
    MagicCalled("c1", "sh", "", "ls\n", True, None, {}, (), "/usr/bin/python3"),
    CompletionWanted("c1", "sh", " --", False),
    VariableSent("c1", BytesValue("AAAA")),
    VariableRefused("c1", "there is no such variable"),
]


def over_the_link(message: Message) -> Message:
    return decode_frame(encode_frame(message))


def test_the_examples_are_all_messages() -> None:
    assert {type(each) for each in FROM_AGENT} == set(get_args(FromAgent))
    assert {type(each) for each in TO_AGENT} == set(get_args(ToAgent))
    assert {type(each) for each in REQUESTS} == set(get_args(MagicRequest))


@pytest.mark.parametrize("message", FROM_AGENT)
def test_a_message_of_the_agent_comes_back_as_it_went(message: FromAgent) -> None:
    carried = over_the_link(encode_agent_message(message))
    assert decode_from_agent(carried) == message
    with pytest.raises(ProtocolError, match="unknown type"):
        decode_to_agent(carried)


@pytest.mark.parametrize("message", TO_AGENT)
def test_a_message_to_the_agent_comes_back_as_it_went(message: ToAgent) -> None:
    carried = over_the_link(encode_agent_message(message))
    assert decode_to_agent(carried) == message
    with pytest.raises(ProtocolError, match="unknown type"):
        decode_from_agent(carried)


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_one_line(answer: MagicAnswer) -> None:
    line = encode_answer_line(answer)
    assert line.count(b"\n") == 1
    assert decode_answer_line(line) == answer


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_of_a_magic_comes_back_as_it_went(request_: MagicRequest) -> None:
    message = Message.make("iopub", {"msg_type": MSG_TYPE}, encode_magic_request(request_))
    assert decode_magic_request(over_the_link(message)) == request_


@pytest.mark.parametrize(
    ("header", "content"),
    [
        (b"{", b"{}"),
        (b"[]", b"{}"),
        (b"{}", b"{}"),
        (b'{"msg_type":"ready"}', b"{}"),
        (b'{"msg_type":"ready"}', b"[]"),
        (b'{"msg_type":"ready"}', b"\xff"),
        (b'{"msg_type":"ready"}', b"[" * 100_000),
        (b'{"msg_type":"ready"}', b'{"pid":"7","kernel_info":{}}'),
        (b'{"msg_type":"ended"}', b'{"status":null,"out_of_memory":false}'),
        (b'{"msg_type":"unstarted"}', b'{"msg_ids":[1]}'),
        (b'{"msg_type":"magic_end"}', b'{"call_id":"c1","steps":[],"outcome":null}'),
        (b'{"msg_type":["ready"]}', b"{}"),
        (b'{"msg_type":"ended"}', b'{"status":0,"out_of_memory":false}' + b" " * MAX_LIFE_BYTES),
    ],
)
def test_a_malformed_message_raises_the_protocol_error(header: bytes, content: bytes) -> None:
    message = Message("agent", [header, b"{}", b"{}", content])
    with pytest.raises(ProtocolError, match=r"\w"):
        decode_from_agent(message)
    with pytest.raises(ProtocolError, match=r"\w"):
        decode_to_agent(message)


def test_a_message_of_another_channel_is_none_of_the_agents() -> None:
    message = encode_agent_message(Ended(0, False))
    with pytest.raises(ProtocolError, match="unknown type"):
        decode_from_agent(Message("iopub", message.parts))
