"""Both ends of a connection: greeting, acknowledgements, and everything that must be refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.wire.connection import (
    PROTOCOL_VERSION,
    AgentSide,
    CloseCode,
    Hello,
    KernelSide,
    RefusedError,
    closing,
)
from daytona_kernel.wire.link import ACKNOWLEDGE_MESSAGES, Link
from daytona_kernel.wire.messages import Message
from daytona_kernel.wire.schema import ProtocolError

SECRET, LINK = "s3cr3t", "link-1"
HELLO = {
    "type": "hello",
    "version": PROTOCOL_VERSION,
    "secret": SECRET,
    "link": LINK,
    "received": 0,
    "is_new": False,
}
WELCOME = {"type": "welcome", "version": PROTOCOL_VERSION, "link": LINK, "received": 0, "resume_after": 0}


def kernel_side(link: Link | None = None) -> KernelSide:
    return KernelSide(link, SECRET, LINK)


def agent_side(link: Link | None = None) -> AgentSide:
    return AgentSide(Link() if link is None else link, SECRET, LINK)


def numbered(number: int) -> Message:
    return Message.make("iopub", {"msg_id": str(number)}, {})


Side = KernelSide | AgentSide


def deliver(source: Side, target: Side) -> list[str]:
    """Carry everything that one end sends to the other; return the ids of the messages that arrive."""
    arrived = []
    while (data := source.outgoing()) is not None:
        message = target.receive(data)
        if message is not None:
            arrived.append(message.msg_id)
    return arrived


def greet(kernel: KernelSide, agent: AgentSide) -> None:
    assert deliver(kernel, agent) == []
    assert deliver(agent, kernel) == []
    assert kernel.greeted
    assert agent.greeted


def test_messages_go_both_ways_after_the_greeting() -> None:
    link = Link()
    kernel, agent = kernel_side(), agent_side(link)
    link.send(numbered(1))
    assert agent.outgoing() is None  # nothing leaves before the greeting
    deliver(kernel, agent)
    assert deliver(agent, kernel) == ["1"]
    kernel.link.send(numbered(2))
    assert deliver(kernel, agent) == ["2"]


def test_what_arrived_is_acknowledged_once() -> None:
    kernel, agent = kernel_side(), agent_side()
    greet(kernel, agent)
    assert not kernel.acknowledgement_owed
    agent.link.send(numbered(1))
    deliver(agent, kernel)
    assert kernel.acknowledgement_owed
    kernel.acknowledge()
    kernel.acknowledge()
    acknowledgement = kernel.outgoing()
    assert json.loads(acknowledgement or "") == {"type": "acknowledgement", "received": 1}
    assert kernel.outgoing() is None
    agent.receive(acknowledgement or "")
    assert agent.link.acknowledged_to == 1


def test_many_messages_are_acknowledged_without_the_owner() -> None:
    kernel, agent = kernel_side(), agent_side()
    greet(kernel, agent)
    for number in range(ACKNOWLEDGE_MESSAGES):
        agent.link.send(numbered(number))
    deliver(agent, kernel)
    deliver(kernel, agent)
    assert agent.link.acknowledged_to == ACKNOWLEDGE_MESSAGES


def test_a_new_connection_resumes_where_the_last_one_broke() -> None:
    kernel, agent = kernel_side(), agent_side()
    greet(kernel, agent)
    for number in (1, 2):
        agent.link.send(numbered(number))
        kernel.link.send(numbered(number))
    first = agent.outgoing()
    assert first is not None
    kernel.receive(first)
    assert kernel.outgoing() is not None  # lost on the way
    kernel, agent = kernel_side(kernel.link), agent_side(agent.link)
    deliver(kernel, agent)
    assert deliver(agent, kernel) == ["2"]
    assert deliver(kernel, agent) == ["1", "2"]


def test_a_kernel_without_memory_starts_after_what_its_predecessor_acknowledged() -> None:
    link = Link()
    kernel, agent = kernel_side(), agent_side(link)
    greet(kernel, agent)
    for number in (1, 2, 3):
        link.send(numbered(number))
    kernel.link.send(numbered(1))
    deliver(kernel, agent)
    link.acknowledged(2)
    successor, agent = kernel_side(), agent_side(link)
    deliver(successor, agent)
    assert deliver(agent, successor) == ["3"]
    successor.link.send(numbered(2))
    assert deliver(successor, agent) == ["2"]


@pytest.mark.parametrize(("bookmark", "arrive"), [(1, ["3"]), (2, ["3"]), (3, [])])
def test_a_kernel_with_a_bookmark_starts_behind_it_and_behind_what_was_acknowledged(
    bookmark: int, arrive: list[str]
) -> None:
    link = Link()
    for number in (1, 2, 3):
        link.send(numbered(number))
    link.acknowledged(2)
    successor, agent = KernelSide(None, SECRET, LINK, bookmark), agent_side(link)
    deliver(successor, agent)
    assert agent.is_new_kernel
    assert deliver(agent, successor) == arrive


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"secret": "wrong"}, CloseCode.REFUSED, "the secret is not the one of this agent"),
        ({"secret": "\ud800"}, CloseCode.REFUSED, "the secret is not the one of this agent"),
        ({"link": "link-2"}, CloseCode.LOST, "this is another agent"),
        ({"version": PROTOCOL_VERSION + 1}, CloseCode.UNSUPPORTED, f"version {PROTOCOL_VERSION + 1}"),
        ({"version": None}, CloseCode.UNSUPPORTED, "the kernel speaks an unknown version"),
        ({"version": True}, CloseCode.UNSUPPORTED, "the kernel speaks an unknown version"),
        ({"type": "welcome"}, CloseCode.REFUSED, "the greeting must come first"),
        ({"type": "acknowledgement"}, CloseCode.REFUSED, "the greeting must come first"),
        ({"received": 5}, CloseCode.LOST, "message 5 was acknowledged"),
        ({"received": -1}, CloseCode.LOST, "no longer kept"),
        ({"received": "0"}, CloseCode.LOST, "hello.received"),
        ({"secret": 1}, CloseCode.LOST, "hello.secret"),
        ({"secret": None}, CloseCode.LOST, "hello.secret"),
        ({"link": None}, CloseCode.LOST, "hello.link"),
        ({"more": 1}, CloseCode.LOST, "unknown field"),
    ],
)
def test_the_agent_refuses_a_wrong_hello(change: dict[str, Any], code: CloseCode, words: str) -> None:
    agent = agent_side()
    with pytest.raises(ProtocolError) as error:
        agent.receive(json.dumps(HELLO | change))
    assert not agent.greeted
    assert agent.outgoing() is None
    assert closing(error.value)[0] is code
    assert words in closing(error.value)[1]
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"link": "link-2"}, "this is another agent"),
        (
            {"version": 0},
            f"the agent speaks version 0 of the protocol, this kernel version {PROTOCOL_VERSION}",
        ),
        ({"version": "1"}, "the agent speaks an unknown version"),
        ({"type": "hello"}, "the type must be one of: welcome"),
        ({"received": -1}, "negative"),
        ({"resume_after": -1}, "negative"),
        ({"received": 1 << 64}, "too large"),
        ({"received": None}, "welcome.received"),
        ({"more": 1}, "unknown field"),
    ],
)
def test_the_kernel_refuses_a_wrong_welcome(change: dict[str, Any], words: str) -> None:
    kernel = kernel_side()
    with pytest.raises(ProtocolError, match=words):
        kernel.receive(json.dumps(WELCOME | change))
    assert not kernel.greeted


def test_an_agent_from_before_the_versions_is_refused() -> None:
    with pytest.raises(RefusedError, match="an unknown version"):
        kernel_side().receive(json.dumps({"link": LINK, "received": 0, "from": 0}))


@pytest.mark.parametrize("data", ["", "[]", "{", "null", b"", b"\x01" * 64])
def test_noise_before_the_greeting_is_refused(data: str | bytes) -> None:
    for side in (kernel_side(), agent_side()):
        with pytest.raises(ProtocolError):
            side.receive(data)
        assert not side.greeted


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"type":"acknowledgement"}',
        '{"type":"acknowledgement","received":"1"}',
        '{"type":"acknowledgement","received":1}',
        json.dumps(HELLO),
        json.dumps(WELCOME),
        "[" * 100_000,
    ],
)
def test_a_wrong_text_after_the_greeting_ends_the_connection(text: str) -> None:
    kernel, agent = kernel_side(), agent_side()
    greet(kernel, agent)
    for side in (kernel, agent):
        with pytest.raises(ProtocolError) as error:
            side.receive(text)
        assert closing(error.value)[0] is CloseCode.LOST


@given(st.integers(0, 400), st.integers(0, 255))
def test_one_changed_byte_of_a_greeting_raises_no_other_error(position: int, value: int) -> None:
    for data, side in ((HELLO, agent_side()), (WELCOME, kernel_side())):
        text = bytearray(json.dumps(data).encode())
        text[position % len(text)] = value
        with suppress(ProtocolError):
            side.receive(text.decode(errors="replace"))


@pytest.mark.parametrize("end", range(len(json.dumps(HELLO))))
def test_every_cut_of_a_greeting_is_refused(end: int) -> None:
    with pytest.raises(ProtocolError):
        agent_side().receive(json.dumps(HELLO)[:end])


def test_a_reason_fits_a_close_frame() -> None:
    code, reason = closing(RefusedError(CloseCode.UNSUPPORTED, "é" * 200))
    assert code is CloseCode.UNSUPPORTED
    assert len(reason.encode()) <= 123
    for version in (None, 1 << 30):
        with pytest.raises(RefusedError) as error:
            agent_side().receive(json.dumps(HELLO | {"version": version}))
        assert closing(error.value)[1] == str(error.value)


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(Hello(PROTOCOL_VERSION, SECRET, LINK, None, True))
