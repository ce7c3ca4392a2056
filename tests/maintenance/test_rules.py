"""The rules no repair may break, with the real tracker and the real connections, whatever the network does.

Transport is a mock whose dials end as the seed says. After each thing
that happens the rules are held against what transport was told.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors import connections, maintenance, tracker
from rookery.runtime import Simulation
from rookery.testing import Peers, mock
from rookery.transport import Address, Closed, Direction, Link, Opened, PeerId, PeerRecord, Reason, Role, Ticket
from rookery.transport import mailbox as transport
from rookery.transport.gatekeeper import Admitted, Claim

KNOWN = Peers()
NAMES = [f"peer-{number}" for number in range(12)]
PEERS = {KNOWN.identity(name).peer: name for name in NAMES}
NUMBERS: dict[str, Any] = {"min_connections": 2, "expected_connections": 5, "max_connections": 8}
BOUNDS = maintenance.Config(**NUMBERS).bounds()
ENDS = [None, Reason.UNREACHABLE, Reason.TIMEOUT, Reason.TOO_MANY, Reason.AUTHENTICATION, Reason.DUPLICATE]


def record(name: str) -> PeerRecord:
    return KNOWN.record(name, f"tcp://10.{NAMES.index(name)}.0.1:7000")


class World:
    """Real tracker, connections and maintenance; the test is transport."""

    def __init__(self, simulation: Simulation, seed: int, *, private: bool) -> None:
        self.simulation = simulation
        self.choices = random.Random(seed)
        self.private = private
        self.net: Any = mock(transport.Mailbox, waits=simulation)
        self.net.control.answer(transport.SetGate, lambda message: message.gate.version)
        self.net.control.answer(transport.Close, self.close)
        self.links: dict[int, tuple[Link, Ticket]] = {}
        self.dials: list[tuple[Ticket, Address]] = []
        self.blocked: set[PeerId] = set()
        self.protected: set[PeerId] = set()
        self.trusted = set(list(PEERS)[:5])
        self.lost: set[PeerId] = set()  # they rest, unless connections are short or they are missed
        self.taken = 0  # tells of transport that were looked at
        self.ids = count(1)
        peers = tuple(tracker.StaticPeer(peer, record(name).address) for peer, name in PEERS.items())  # type: ignore[arg-type]
        config = tracker.Config(
            source="application",
            admission="private" if private else "open",
            trusted=tuple(self.trusted),
            backoff_initial=20.0,  # long enough to be broken
        )
        me = KNOWN.identity("me").peer
        self.tracker = simulation.start(tracker.Engine, config, transport=self.net, me=me)
        self.connections = simulation.start(
            connections.Engine, connections.Config(grace_period=0.0), transport=self.net
        )
        self.upkeep = simulation.start(
            maintenance.Engine,
            maintenance.Config(**NUMBERS, policy="band"),
            tracker=self.tracker,
            connections=self.connections,
            transport=self.net,
        )
        self.tracker.track(1, {each.peer: each.address for each in peers}).get(timeout=5)
        self.upkeep.activate()
        self.settle()

    def settle(self) -> None:
        """Let every message be handled, and do what transport was told."""
        while True:
            self.simulation.settle()
            told = self.net.control.received()[self.taken :]
            if not told:
                break
            self.taken += len(told)
            for message in told:
                if isinstance(message, transport.Dial):
                    self.dialled(message)
                elif isinstance(message, transport.CloseLink) and message.link_id in self.links:
                    assert self.links[message.link_id][0].peer not in self.protected, "a protected peer is trimmed"
                    self.end(message.link_id, Reason.TRIMMED)

    def dialled(self, dial: transport.Dial) -> None:
        peer = dial.ticket.peer
        assert peer not in self.blocked, "a blocked peer is dialled"
        assert not self.private or peer in self.trusted, "a private node dials whom it does not trust"
        assert all(peer != other.peer for other, _ in self.links.values()), "a connected peer is dialled"
        assert len(self.links) + len(self.dials) < NUMBERS["max_connections"]
        (info,) = [info for info in self.tracker.known().get(timeout=5) if info.peer == peer]
        early = info.quiet_until is not None and info.quiet_until > self.simulation.wall()
        assert not early or peer in self.lost, "dialled before its time"
        self.dials.append((dial.ticket, dial.address))

    def close(self, message: transport.Close) -> None:
        for link_id, (link, _) in list(self.links.items()):
            if link.peer == message.peer:
                self.end(link_id, message.reason)
        for ticket, address in list(self.dials):
            if ticket.peer == message.peer:
                self.dials.remove((ticket, address))
                self.tracker.released(ticket, message.reason)

    def end(self, link_id: int, reason: Reason) -> None:
        link, ticket = self.links.pop(link_id)
        if reason is Reason.LOST:
            self.lost.add(link.peer)
        for mailbox in (self.connections, self.tracker):
            mailbox.tell(Closed(link_id, link.peer, reason))
        self.tracker.released(ticket, reason)

    def open(self, ticket: Ticket, direction: Direction) -> None:
        own = record(PEERS[ticket.peer])
        assert own.address is not None
        link = Link(next(self.ids), ticket.peer, direction, Role.PRIMARY, own.address.endpoint.host, 0.0, own)
        self.links[link.id] = (link, ticket)
        for mailbox in (self.connections, self.tracker):
            mailbox.tell(Opened(link))

    def happen(self) -> None:
        """One thing."""
        what = self.choices.choice(["dial", "dial", "dial", "inbound", "loss", "block", "unblock", "protect", "time"])
        peer = self.choices.choice(list(PEERS))
        if what == "dial" and self.dials:
            self.end_dial(self.choices.choice(self.dials))
        elif what == "inbound":
            self.inbound(peer)
        elif what == "loss" and self.links:
            self.end(self.choices.choice(list(self.links)), self.choices.choice([Reason.LOST, Reason.REMOTE]))
        elif what == "block":
            self.blocked.add(peer)
            self.tracker.block(peer).get(timeout=5)
        elif what == "unblock" and self.blocked:
            gone = self.choices.choice(sorted(self.blocked))
            self.blocked.discard(gone)
            self.tracker.unblock(gone).get(timeout=5)
        elif what == "protect" and len(self.protected) < 3:
            self.protected.add(peer)
            self.connections.protect(peer, "friend")
        else:
            self.pass_time(self.choices.choice([1, 2, 14]))
        self.settle()

    def pass_time(self, halves: int) -> None:
        for _ in range(halves):
            self.simulation.run(for_=0.5)
            self.settle()

    def end_dial(self, dial: tuple[Ticket, Address]) -> None:
        self.dials.remove(dial)
        reason = self.choices.choice(ENDS)
        if reason is None:
            self.open(dial[0], Direction.OUT)
        else:
            self.tracker.released(dial[0], reason)

    def inbound(self, peer: PeerId) -> None:
        own = record(PEERS[peer])
        assert own.address is not None
        claim = Claim(peer, own, own.address.endpoint.host, Direction.IN)
        level = self.tracker.admit(claim).get(timeout=5)
        if isinstance(level, Admitted):
            assert peer not in self.blocked
            self.open(level.ticket, Direction.IN)

    def calm(self) -> maintenance.Report:
        """From now on every dial succeeds."""
        for peer in sorted(self.blocked):
            self.tracker.unblock(peer).get(timeout=5)
        self.blocked.clear()
        for _ in range(40):
            while self.dials:
                self.open(self.dials.pop()[0], Direction.OUT)
                self.settle()
            self.pass_time(10)
        return self.upkeep.maintain().get(timeout=10)


@contextmanager
def world(seed: int, *, private: bool) -> Iterator[World]:
    with Simulation(seed) as simulation:
        yield World(simulation, seed, private=private)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.integers(1, 50))
def test_no_repair_dials_too_early_or_whom_it_may_not_nor_trims_the_protected(
    seed: int, private: bool, events: int
) -> None:
    with world(seed, private=private) as made:
        for _ in range(events):
            made.happen()
        report = made.calm()
        assert report.in_band
        assert BOUNDS.contain(len(made.links))
