"""The link against a reference model: both ends, on connections that break, come late, and are replaced.

The model knows only the numbers of the messages: those that were sent, the next that must arrive, and those
that were acknowledged. Nothing is lost, nothing comes twice, all comes in order, and the journal keeps no
more than it must.
"""

from __future__ import annotations

import json
from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daytona_kernel.agent.journal import SpillingJournal
from daytona_kernel.wire.connection import AgentSide, KernelSide
from daytona_kernel.wire.link import Link, LinkError
from daytona_kernel.wire.messages import Message

SECRET, LINK_ID = "secret", "link"
MEMORY_BYTES, FILE_BYTES = 600, 2000
LARGEST = 400
SOME = st.integers(1, 5)


def numbered(number: int, size: int = 0) -> Message:
    return Message.make("iopub", {"msg_id": str(number)}, {"text": "x" * size})


class Wire:
    """One connection: both ends, and what is on its way. life: the kernel that has opened it."""

    def __init__(self, life: int, kernel_link: Link | None, agent_link: Link) -> None:
        self.life = life
        self.kernel = KernelSide(kernel_link, SECRET, LINK_ID)
        self.agent = AgentSide(agent_link, SECRET, LINK_ID)
        self.to_agent: deque[str | bytes] = deque()
        self.to_kernel: deque[str | bytes] = deque()


class LinkMachine(RuleBasedStateMachine):
    """An agent, and one kernel after another. The successor of a crashed kernel knows nothing.

    The kernel reads from its newest wire only. What it has sent on an older one may still reach the agent.
    """

    @initialize()
    def begin(self) -> None:
        self.journal = SpillingJournal(MEMORY_BYTES, FILE_BYTES)
        self.agent_link = Link(self.journal)
        self.kernel_link: Link | None = None
        self.early: list[Message] = []
        self.wire: Wire | None = None
        self.late: list[Wire] = []
        # The model. Of the agent's messages: how many were sent, which the kernel must get next, which were
        # acknowledged. Of the kernels' messages: those of each kernel, and those that have arrived.
        self.sent = 0
        self.expected = 1
        self.acknowledged = 0
        self.lives: list[list[int]] = [[]]
        self.arrived: list[int] = []
        self.heard = 0  # the kernel that the agent serves
        self.heard_from = 0  # the place of its first message in `arrived`

    # What the ends do

    @precondition(lambda self: not self.journal.full)
    @rule(size=st.integers(0, LARGEST))
    def agent_sends(self, size: int) -> None:
        self.sent += 1
        self.agent_link.send(numbered(self.sent, size))

    @rule(at_once=st.booleans())
    def kernel_sends(self, at_once: bool) -> None:
        number = sum(map(len, self.lives)) + 1
        self.lives[-1].append(number)
        if self.kernel_link is None:
            self.early.append(numbered(number))
        else:
            self.kernel_link.send(numbered(number))
        if at_once and self.wire is not None:
            self.kernel_writes(3)

    @precondition(lambda self: self.wire is None)
    @rule(at_once=st.booleans())
    def kernel_connects(self, at_once: bool) -> None:
        self.wire = Wire(len(self.lives) - 1, self.kernel_link, self.agent_link)
        if at_once:
            self.kernel_writes(1)
            self.agent_reads(1)
            self.agent_writes(1)
            self.kernel_reads(1)

    @precondition(lambda self: self.wire is not None)
    @rule(count=SOME)
    def kernel_writes(self, count: int) -> None:
        assert self.wire is not None
        for _ in range(count):
            if (data := self.wire.kernel.outgoing()) is not None:
                self.wire.to_agent.append(data)

    @precondition(lambda self: self.wire is not None)
    @rule(count=SOME)
    def agent_writes(self, count: int) -> None:
        assert self.wire is not None
        for _ in range(count):
            if (data := self.wire.agent.outgoing()) is not None:
                self.wire.to_kernel.append(data)

    @precondition(lambda self: self.wire is not None)
    @rule()
    def kernel_acknowledges(self) -> None:
        assert self.wire is not None
        self.wire.kernel.acknowledge()

    @precondition(lambda self: self.wire is not None or self.late)
    @rule(data=st.data())
    def agent_acknowledges(self, data: st.DataObject) -> None:
        wires = [*self.late, *([] if self.wire is None else [self.wire])]
        data.draw(st.sampled_from(wires)).agent.acknowledge()

    # What the network does

    @precondition(lambda self: self.wire is not None)
    @rule(count=SOME)
    def agent_reads(self, count: int) -> None:
        for _ in range(count):
            if self.wire is not None and self.wire.to_agent:
                self.reach_agent(self.wire)

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def agent_reads_late(self, data: st.DataObject) -> None:
        wire = data.draw(st.sampled_from(self.late))
        if wire.to_agent:
            self.reach_agent(wire)
        else:
            self.late.remove(wire)

    @precondition(lambda self: self.wire is not None)
    @rule(count=SOME)
    def kernel_reads(self, count: int) -> None:
        assert self.wire is not None
        for _ in range(count):
            if self.wire.to_kernel:
                self.reach_kernel(self.wire)

    @precondition(lambda self: self.wire is not None)
    @rule()
    def connection_breaks(self) -> None:
        assert self.wire is not None
        self.late.append(self.wire)
        self.wire = None

    @rule()
    def kernel_crashes(self) -> None:
        if self.wire is not None:
            self.connection_breaks()
        # The end of a process closes its connections in order: a greeting that is on its way comes first.
        self.late = [wire for wire in self.late if wire.agent.greeted]
        self.kernel_link = None
        self.early = []
        self.lives.append([])

    def reach_agent(self, wire: Wire) -> None:
        """Deliver the next data to the agent."""
        side, data = wire.agent, wire.to_agent.popleft()
        is_current = side.greeted and side.is_current
        if not side.greeted:
            self.greet_agent(wire, str(data))
            return
        if isinstance(data, str) and is_current:
            self.acknowledged = max(self.acknowledged, json.loads(data)["received"])
        message = side.receive(data)
        if message is not None:
            place = len(self.arrived) - self.heard_from
            assert int(message.msg_id) == self.lives[self.heard][place]
            self.arrived.append(int(message.msg_id))

    def greet_agent(self, wire: Wire, hello: str) -> None:
        received = json.loads(hello)["received"]
        if received is not None and received < self.acknowledged:
            # Only a greeting that comes late is older than an acknowledgement.
            assert wire in self.late
            try:
                wire.agent.receive(hello)
            except LinkError:
                self.late.remove(wire)
                return
            raise AssertionError("the agent has accepted a greeting from before an acknowledgement")
        wire.agent.receive(hello)
        if received is not None:
            self.acknowledged = max(self.acknowledged, received)
        elif wire.life != self.heard:  # otherwise it is a late greeting of the kernel that the agent serves
            self.heard, self.heard_from = wire.life, len(self.arrived)
            self.expected = self.acknowledged + 1
        if wire is not self.wire and self.wire is not None and self.wire.agent.greeted:
            self.connection_breaks()  # the agent closes the connection that it served

    def reach_kernel(self, wire: Wire) -> None:
        """Deliver the next data to the kernel."""
        was_greeted = wire.kernel.greeted
        message = wire.kernel.receive(wire.to_kernel.popleft())
        if not was_greeted and self.kernel_link is None:
            self.kernel_link = wire.kernel.link
            for early in self.early:
                self.kernel_link.send(early)
            self.early = []
        if message is not None:
            assert int(message.msg_id) == self.expected
            self.expected += 1

    # What holds at every moment

    @invariant()
    def the_journal_has_what_was_not_acknowledged(self) -> None:
        assert self.agent_link.acknowledged_to == self.acknowledged
        entries = self.journal._entries  # its size has no public name
        assert len(entries) == self.sent - self.acknowledged
        assert sum(len(e) for e in entries if isinstance(e, bytes)) <= MEMORY_BYTES + LARGEST
        assert self.journal._file_end <= FILE_BYTES + 2 * LARGEST

    def teardown(self) -> None:
        """Let the network be well: everything arrives, and both ends know it."""
        if not hasattr(self, "journal"):
            return
        for wire in list(self.late):
            while wire in self.late and wire.to_agent:
                self.reach_agent(wire)
        self.late = []
        while True:
            if self.wire is None:
                self.kernel_connects(at_once=True)
            self.kernel_writes(1)
            self.agent_reads(1)
            self.agent_writes(1)
            if self.wire is None:
                continue
            self.kernel_reads(1)
            for side in (self.wire.kernel, self.wire.agent):
                side.acknowledge()
            if self.kernel_link is not None and self.kernel_link.settled and self.agent_link.settled:
                break
        assert self.expected == self.sent + 1
        assert self.arrived[self.heard_from :] == self.lives[-1]
        self.journal.close()


TestLink = LinkMachine.TestCase
TestLink.settings = settings(max_examples=settings().max_examples * 3 // 2, stateful_step_count=60)
