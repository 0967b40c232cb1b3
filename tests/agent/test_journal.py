"""The agent's journal: in memory, then in a file, bounded, and always in order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daytona_kernel.agent.journal import SpillingJournal
from daytona_kernel.wire.link import Link
from daytona_kernel.wire.messages import Message
from tests.full_disk import full_beyond


@given(st.lists(st.one_of(st.binary(max_size=50), st.integers(1, 30)), max_size=80))
def test_a_kept_packet_is_read_as_it_was_written(steps: list[bytes | int]) -> None:
    journal = SpillingJournal(memory_bytes=60, file_bytes=1000)
    kept: dict[int, bytes] = {}
    last = dropped = 0
    for step in steps:
        if isinstance(step, bytes):
            last += 1
            journal.append(last, step)
            kept[last] = step
        else:
            dropped = min(max(dropped, step), last)
            journal.drop(dropped)
            kept = {number: packet for number, packet in kept.items() if number > dropped}
        for number, packet in kept.items():
            assert journal.read(number) == packet
    journal.close()


def test_a_dropped_packet_is_gone() -> None:
    journal = SpillingJournal()
    journal.append(1, b"a")
    journal.drop(1)
    journal.append(2, b"b")
    with pytest.raises(LookupError):
        journal.read(1)


def test_the_journal_is_full_while_its_file_is_full() -> None:
    journal = SpillingJournal(memory_bytes=10, file_bytes=100)
    number = 0
    while not journal.full:
        number += 1
        journal.append(number, b"x" * 10)
    assert number == 11
    journal.drop(number)
    assert not journal.full
    journal.close()


def test_a_full_disk_fills_the_journal_and_loses_nothing() -> None:
    journal = SpillingJournal(memory_bytes=10, file_bytes=1 << 20)
    packets = [bytes([number]) * 40 for number in range(20)]
    with full_beyond(100):
        for number, packet in enumerate(packets, 1):
            journal.append(number, packet)
    assert journal.full
    assert [journal.read(number) for number in range(1, 21)] == packets
    journal.drop(20)
    assert not journal.full
    journal.append(21, b"x" * 11)
    journal.append(22, b"y" * 500)
    assert (journal.full, journal.read(22)) == (False, b"y" * 500)
    journal.close()


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_file_has_no_name_and_is_deleted_at_the_end() -> None:
    before = _open_files()
    journal = SpillingJournal(memory_bytes=1, file_bytes=100)
    journal.append(1, b"xx")
    journal.append(2, b"yy")
    assert _open_files() == before + 1
    journal.close()
    assert _open_files() == before


def test_a_link_resumes_from_the_file() -> None:
    journal = SpillingJournal(memory_bytes=100, file_bytes=1 << 20)
    sender, receiver = Link(journal), Link()
    for number in range(50):
        sender.send(Message.make("iopub", {"msg_id": str(number)}, {"text": "x" * 50}))
    for _ in range(20):
        packet = sender.outgoing()
        assert packet is not None
        receiver.receive(packet)
    sender.resume(receiver.received)
    arrived = []
    while (packet := sender.outgoing()) is not None:
        message = receiver.receive(packet)
        assert message is not None
        arrived.append(int(message.msg_id))
    assert arrived == list(range(20, 50))
    journal.close()
