"""The directory against a naive model, by any sequence of calls that transport and the application may make."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rookery.actors.tracker import Config, PeerSet, Target, TrackedPeers
from rookery.actors.tracker.core.directory import Directory
from rookery.testing import Peers
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Claim, Direction, Role, Ticket
from rookery.transport.identity import PeerId, curve_key
from rookery.transport.reasons import Reason
from tests.tracker.core.model import Addresses, Known, Model

KNOWN = Peers()
NAMES = ("me", "bob", "carol", "dave", "erin", "frank", "grace")
ME, *OTHERS = (KNOWN.identity(name).peer for name in NAMES)
NAME_OF = {KNOWN.identity(name).peer: name for name in NAMES}
TEXTS = ("tcp://10.0.0.1:7000", "tcp://10.0.0.2:7000", "tcp://10.0.1.1:7000", "tcp://10.0.2.1:7000")
ADDRESSES = tuple(map(Address.parse, TEXTS))
TARGETS: tuple[Target, ...] = (*OTHERS[:3], ip_address("10.0.0.1"), ip_network("10.0.0.0/30"))
RECORDS = {
    (peer, text, generation): KNOWN.record(NAME_OF[peer], text, generation=generation)
    for peer in OTHERS
    for text in TEXTS
    for generation in (1, 2, 3)
}
OURS = {Reason.STALE}  # a dial that ends so is no miss

peers = st.sampled_from(OTHERS)
texts = st.sampled_from(TEXTS)
places = st.sampled_from([None, *ADDRESSES, *((text, generation) for text in TEXTS for generation in (1, 2, 3))])
Places = dict[PeerId, Address | tuple[str, int] | None]
listed = st.dictionaries(st.sampled_from([ME, *OTHERS]), places, max_size=4)
reasons = st.sampled_from([Reason.UNREACHABLE, Reason.LOST, Reason.REMOTE, Reason.TRIMMED, Reason.STALE])
admissions = st.sampled_from(["open", "open", "tracked", "private"])


def placed(places: Places) -> Addresses:
    return {
        peer: (None if peer == ME else RECORDS[peer, *where]) if isinstance(where, tuple) else where
        for peer, where in places.items()
    }


class DirectoryMachine(RuleBasedStateMachine):
    """Each rule does the same to both."""

    @initialize(admission=admissions, seed=st.integers(0, 3), trusted=st.sets(peers, max_size=3))
    def begin(self, admission: str, seed: int, trusted: set[PeerId]) -> None:
        config = Config(
            source="application",
            admission=admission,  # type: ignore[arg-type]
            tracked_peer_sets=2,
            max_hinted_peers=3,
            max_hinted_per_source=2,
            max_hinted_per_subnet=2,
            trusted=tuple(sorted(trusted)),
        )
        self.directory = Directory(config, ME, random.Random(seed))
        self.model = Model(config, ME, tuple(OTHERS), set(trusted))
        self.void: list[Ticket] = []

    # Sets and addresses ----------------------------------------------------------------------------------------------

    @rule(step=st.integers(1, 3), primary=listed, secondary=listed)
    def track(self, step: int, primary: Places, secondary: Places) -> None:
        """A place is an address, or a text and a generation for the peer's own record with these."""
        id = (self.model.sets[-1][0] if self.model.sets else 0) + step
        self.track_as(id, placed(primary), placed(secondary))

    def track_as(self, id: int, primary: Addresses, secondary: Addresses) -> None:
        tracked = self.directory.track(id, TrackedPeers(primary, secondary), self.model.now)
        secondary = {peer: address for peer, address in secondary.items() if peer not in primary}
        assert dict(tracked.closes) == self.model.track(id, primary, secondary)

    @rule(peer=peers, address=st.sampled_from(ADDRESSES))
    def overwrite(self, peer: PeerId, address: Address) -> None:
        changes = self.directory.overwrite({peer: address}, self.model.now)
        if self.model.role(peer) is None:
            assert changes.unknown == (peer,)
            return
        changed, severs = self.model.give(peer, address)
        assert (changes.changed, changes.unchanged) == (((peer,), ()) if changed else ((), (peer,)))
        why = Reason.ADDRESS_CHANGED if severs else self.model.mode_refusal(peer)
        assert changes.closes == (((peer, why),) if changed and self.model.held(peer) and why is not None else ())

    @rule(peer=peers, text=texts, generation=st.integers(1, 3), source=st.sampled_from([None, *OTHERS[:2]]))
    def hint(self, peer: PeerId, text: str, generation: int, source: PeerId | None) -> None:
        record = RECORDS[peer, text, generation]
        assert self.directory.learn(record, self.model.now, source) is self.model.learn(record, source)

    # Blocks and trust ------------------------------------------------------------------------------------------------

    @rule(whom=st.sampled_from(TARGETS), duration=st.integers(1, 20), at_least=st.booleans())
    def block(self, whom: Target, duration: int, at_least: bool) -> None:
        blocks, now = self.model.blocks, self.model.now
        before = blocks.get(whom, 0.0)
        blocks[whom] = max(before, now + duration) if at_least else now + duration
        told = self.directory.peers.block(whom, duration, now, at_least=at_least)
        assert told == (whom, blocks[whom], blocks[whom] != before)

    @rule(whom=st.sampled_from(TARGETS))
    def unblock(self, whom: Target) -> None:
        was = self.directory.peers.unblock(whom, self.model.now)
        assert was == (whom if whom in self.model.blocks else None)
        self.model.blocks.pop(whom, None)

    @rule(peer=peers)
    def trust(self, peer: PeerId) -> None:
        assert self.directory.peers.trust(peer, self.model.now) == (peer not in self.model.trusted)
        self.model.trusted.add(peer)

    @rule(peer=peers)
    def distrust(self, peer: PeerId) -> None:
        closes = self.directory.peers.distrust(peer, self.model.now)
        if peer not in self.model.trusted:
            assert closes is None
            return
        self.model.trusted.discard(peer)
        refused = self.model.mode_refusal(peer)
        assert closes == (((peer, refused),) if self.model.held(peer) and refused is not None else ())

    @rule(seconds=st.sampled_from([0.3, 1.0, 5.0, 60.0]), expire=st.booleans())
    def wait(self, seconds: float, expire: bool) -> None:
        model = self.model
        model.now += seconds
        if expire:
            over = {target for target, until in model.blocks.items() if until <= model.now}
            assert set(self.directory.peers.expire(model.now)) == over
            model.blocks = {target: until for target, until in model.blocks.items() if target not in over}

    # Reservations ----------------------------------------------------------------------------------------------------

    @rule(peer=peers)
    def dial(self, peer: PeerId) -> None:
        wanted = self.model.may_be_dialled(peer) and self.directory.peers.pace(peer).dial_at <= self.model.now
        reserved = self.directory.reserve(peer, self.model.now)
        assert isinstance(reserved, tuple) == wanted
        if isinstance(reserved, tuple):
            assert reserved[1] == self.model.known[peer].address
            self.model.known[peer].hold = reserved[0]

    @rule(peer=peers, supersede=st.booleans(), text=texts)
    def claim(self, peer: PeerId, supersede: bool, text: str) -> None:
        record = RECORDS[peer, text, 1]
        assert record.address is not None
        ip = record.address.endpoint.host
        supersedes = self.model.known.get(peer, Known()).hold if supersede else None
        reservable_at = self.directory.peers.pace(peer).reservable_at
        expected = self.model.claim_refusal(peer, ip, supersedes, reservable_at)
        decided = self.directory.admit(Claim(peer, record, ip, Direction.IN, None, supersedes), self.model.now)
        assert (None if isinstance(decided, Ticket) else decided) == expected
        if isinstance(decided, Ticket):
            self.accept(peer, decided)

    def accept(self, peer: PeerId, ticket: Ticket) -> None:
        known = self.model.known.setdefault(peer, Known())
        if known.hold is not None and known.superseded is None:
            known.superseded, known.superseded_open = known.hold, known.open
        elif known.hold is not None:
            self.void.append(known.hold)
        known.hold, known.open = ticket, False

    @rule(peer=peers, text=texts, generation=st.integers(1, 3))
    def open(self, peer: PeerId, text: str, generation: int) -> None:
        known = self.model.known.get(peer)
        if known is None or known.hold is None or known.open:
            return
        before = self.model.keys(peer)
        known.open, known.seen, known.missed = True, True, None
        self.model.moved(peer, before)
        if known.superseded is not None:
            self.void.append(known.superseded)
            known.superseded = None
        record = RECORDS[peer, text, generation]
        self.model.learn(record, None, shown=True)
        self.model.recent = [*(each for each in self.model.recent if each != peer), peer]
        unwanted = Reason.ADDRESS_CHANGED if known.stale else self.model.refusal(peer)
        assert self.directory.opened(peer, self.model.now, record) == unwanted

    @rule(peer=peers, reason=reasons)
    def release(self, peer: PeerId, reason: Reason) -> None:
        known = self.model.known.get(peer)
        if known is None or known.hold is None:
            return
        assert self.directory.release(known.hold, reason, self.model.now)
        missed = reason not in OURS and not known.open and known.hold.direction is Direction.OUT
        known.hold, known.open, known.superseded = known.superseded, known.superseded_open, None
        if missed:
            known.missed = self.model.tick()
        self.model.sweep()

    @rule(peer=peers)
    def release_superseded(self, peer: PeerId) -> None:
        known = self.model.known.get(peer)
        if known is not None and known.superseded is not None:
            assert not self.directory.release(known.superseded, Reason.SUPERSEDED, self.model.now)
            known.superseded = None

    @rule()
    def release_void(self) -> None:
        if self.void:
            assert not self.directory.release(self.void.pop(), Reason.REPLACED, self.model.now)

    # What must agree -------------------------------------------------------------------------------------------------

    @invariant()
    def records_agree(self) -> None:
        peers, model = self.directory.peers, self.model
        assert len(peers) == len(model.known)
        for peer, known in model.known.items():
            record = peers.get(peer)
            assert record is not None
            assert (record.address, record.given, record.stale) == (known.address, known.given, known.stale)
            assert (record.role, record.seen_at is not None) == (model.role(peer), known.seen)
            assert record.signed == known.signed
            assert self.directory.is_held(peer) == (known.hold is not None)
        assert self.directory.held == sum(known.hold is not None for known in model.known.values())
        assert peers.trusted == model.trusted
        assert len(peers.unlisted) == len(model.unlisted())

    @invariant()
    def bounds_hold(self) -> None:
        book = [peer for peer in self.model.unlisted() if peer not in self.model.trusted]
        unproven = [self.model.known[peer] for peer in book if not self.model.known[peer].seen]
        assert len([known for known in unproven if known.source == OTHERS[0]]) <= 2 + len(self.ever_trusted())

    def ever_trusted(self) -> list[PeerId]:
        """Those that the bounds let in for their trust may have lost it since."""
        return [peer for peer in self.model.known if peer not in self.model.trusted]

    @invariant()
    def sets_agree(self) -> None:
        primary = {peer for _, peers, _ in self.model.sets for peer in peers}
        secondary = {peer for _, _, peers in self.model.sets for peer in peers} - primary
        assert self.directory.window.all == PeerSet(tuple(sorted(primary)), tuple(sorted(secondary)))

    @invariant()
    def dialable_agrees(self) -> None:
        model = self.model
        ready = {peer for peer in OTHERS if model.may_be_dialled(peer)}
        due = {peer for peer in ready if self.directory.peers.pace(peer).quiet_until <= model.now}
        chosen, next_at = self.directory.dialable(10, (), model.now)
        assert set(chosen) == due
        ranks = [(peer not in model.trusted, not self.vouched(peer)) for peer in chosen]
        assert ranks == sorted(ranks)
        assert next_at is None or next_at > model.now
        assert next_at is not None or ready == due

    def vouched(self, peer: PeerId) -> bool:
        return self.model.role(peer) is Role.PRIMARY or self.model.known[peer].seen

    @invariant()
    def gate_agrees(self) -> None:
        model = self.model
        gate = self.directory.peers.gate(model.now, with_advice=True)
        assert gate.blocked == {curve_key(target) for target in model.blocks if isinstance(target, PeerId)}
        assert gate.blocked_ips == {str(target) for target in model.blocks if target == TARGETS[3]}
        assert set(gate.blocked_subnets) == {target for target in model.blocks if target == TARGETS[4]}
        if all(until > model.now for until in model.blocks.values()):  # else it depends on what was settled since
            assert {record.peer for record in gate.alternatives} == model.alternatives()
        waiting = {peer for peer in OTHERS if self.directory.peers.pace(peer).reservable_at > model.now}
        cooled = {peer for peer, until in gate.cooling.items() if until > model.now}
        assert waiting <= cooled
        assert not (cooled - waiting) & set(model.known)  # of those forgotten, only so many waits are kept
        if model.config.admission == "private":
            assert gate.packets == frozenset(curve_key(peer) for peer in model.trusted)
        else:
            assert gate.packets is None
        self.registered_agrees(gate.registered_ips)

    def registered_agrees(self, registered: object) -> None:
        model = self.model
        if model.config.admission != "tracked":
            assert registered is None
            return
        handled = [peer for peer in model.known if peer not in model.blocks and model.role(peer) is not None]
        addresses = [model.known[peer].address for peer in handled if model.known[peer].given]
        ips = {str(address.egress_ip) for address in addresses if address is not None}
        if len(addresses) < len(handled):
            assert registered is None  # somebody may come from anywhere
        elif all(until > model.now for until in model.blocks.values()):  # as above
            assert registered == ips


TestDirectory = DirectoryMachine.TestCase
TestDirectory.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


@pytest.mark.full
@pytest.mark.timeout(300)
class TestDirectoryLong(DirectoryMachine.TestCase):  # type: ignore[misc,valid-type]
    """The same, many times."""

    settings = settings(max_examples=1000, stateful_step_count=60, deadline=None)
