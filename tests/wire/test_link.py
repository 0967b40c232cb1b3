"""The link: a model of two ends whose connection breaks at any moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.wire.link import ACKNOWLEDGE_MESSAGES, Link, LinkError
from daytona_kernel.wire.messages import Message


def numbered(number: int) -> Message:
    return Message.make("iopub", {"msg_id": str(number)}, {})


def drain(sender: Link) -> list[bytes]:
    packets = []
    while (packet := sender.outgoing()) is not None:
        packets.append(packet)
    return packets


@given(st.lists(st.sampled_from(["send", "deliver", "lose", "acknowledge"]), max_size=60))
def test_every_message_arrives_once_and_in_order(steps: list[str]) -> None:
    sender, receiver = Link(), Link()
    sent, arrived = 0, []

    def deliver(packets: list[bytes]) -> None:
        for packet in packets:
            message = receiver.receive(packet)
            if message is not None:
                arrived.append(int(message.msg_id))

    for step in steps:
        if step == "send":
            sent += 1
            sender.send(numbered(sent))
        elif step == "deliver":
            deliver(drain(sender))
        elif step == "lose":
            packets = drain(sender)
            deliver(packets[: len(packets) // 2])
            sender.resume(receiver.received)
        else:
            sender.acknowledged(receiver.acknowledge())
    deliver(drain(sender))
    assert arrived == list(range(1, sent + 1))


def test_a_repeated_packet_is_dropped() -> None:
    sender, receiver = Link(), Link()
    sender.send(numbered(1))
    (packet,) = drain(sender)
    assert receiver.receive(packet) is not None
    assert receiver.receive(packet) is None


def test_a_gap_is_an_error_and_not_a_loss() -> None:
    sender, receiver = Link(), Link()
    for number in (1, 2):
        sender.send(numbered(number))
    with pytest.raises(LinkError, match="message 1 is missing"):
        receiver.receive(drain(sender)[1])


def test_what_was_acknowledged_cannot_be_asked_for_again() -> None:
    sender = Link()
    sender.send(numbered(1))
    sender.acknowledged(1)
    with pytest.raises(LinkError, match="no longer kept"):
        sender.resume(0)
    with pytest.raises(LinkError, match="was the last sent"):
        sender.acknowledged(2)


def test_acknowledgements_come_due() -> None:
    sender, receiver = Link(), Link()
    for number in range(ACKNOWLEDGE_MESSAGES):
        assert not receiver.acknowledgement_due
        sender.send(numbered(number))
        for packet in drain(sender):
            receiver.receive(packet)
    assert receiver.acknowledgement_due
    assert receiver.acknowledgement_owed
    receiver.acknowledge()
    assert not receiver.acknowledgement_due
    assert not receiver.acknowledgement_owed
