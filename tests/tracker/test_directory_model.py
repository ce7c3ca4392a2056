"""The directory against a naive model, which looks everything up anew each time."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rookery.actors.tracker import Config, PeerSet, TrackedPeers
from rookery.actors.tracker.directory import Directory
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Claim, Direction, Role, Ticket
from rookery.transport.identity import PeerId, curve_key
from rookery.transport.reasons import Reason
from rookery.transport.testing import Peers

KNOWN = Peers()
NAMES = ("me", "bob", "carol", "dave", "erin")
ME, *OTHERS = (KNOWN.identity(name).peer for name in NAMES)
ADDRESSES = tuple(Address.parse(f"tcp://10.0.0.{number}:7000") for number in (1, 2, 3))
RECORDS = {KNOWN.identity(name).peer: KNOWN.record(name, "tcp://10.0.0.1:7000") for name in NAMES}
WINDOW = 2

peers = st.sampled_from(OTHERS)
listed = st.dictionaries(st.sampled_from([ME, *OTHERS]), st.sampled_from(ADDRESSES), max_size=4)
reasons = st.sampled_from([Reason.UNREACHABLE, Reason.LOST, Reason.REMOTE, Reason.TRIMMED, Reason.STALE])


@dataclass
class Known:
    """What the model remembers of one peer."""

    address: Address | None = None
    given: bool = False
    signed: bool = False
    stale: bool = False
    hold: Ticket | None = None
    open: bool = False
    superseded: Ticket | None = None
    superseded_open: bool = False


class DirectoryMachine(RuleBasedStateMachine):
    """Any sequence of calls that transport and the application may make."""

    @initialize(admission=st.sampled_from(["open", "tracked"]), seed=st.integers(0, 3))
    def begin(self, admission: str, seed: int) -> None:
        config = Config(source="application", admission=admission, tracked_peer_sets=WINDOW)  # type: ignore[arg-type]
        self.directory = Directory(config, ME, random.Random(seed))
        self.admission = admission
        self.now = 0.0
        self.sets: list[tuple[int, dict[PeerId, Address], dict[PeerId, Address]]] = []
        self.known: dict[PeerId, Known] = {}
        self.blocked: dict[PeerId, float] = {}
        self.void: list[Ticket] = []

    # What the model says ---------------------------------------------------------------------------------------------

    def listing(self, peer: PeerId) -> Role | None:
        if any(peer in primary for _, primary, _ in self.sets):
            return Role.PRIMARY
        return Role.SECONDARY if any(peer in secondary for _, _, secondary in self.sets) else None

    def refusal(self, peer: PeerId) -> Reason | None:
        if self.blocked.get(peer, 0.0) > self.now:
            return Reason.BLOCKED
        return Reason.NOT_TRACKED if self.admission == "tracked" and self.listing(peer) is None else None

    def may_be_dialled(self, peer: PeerId) -> bool:
        known = self.known.get(peer, Known())
        inert = known.hold is None and known.address is not None
        return inert and self.refusal(peer) is None and self.listing(peer) is not Role.SECONDARY

    def give(self, peer: PeerId, address: Address) -> bool:
        known = self.known.setdefault(peer, Known())
        changed = known.address != address
        known.given = True
        known.address = address
        known.stale = known.stale or (changed and known.hold is not None)
        return changed

    def forget(self) -> None:
        for peer, known in list(self.known.items()):
            if known.hold is None:
                known.stale = False
                if known.address is None and self.listing(peer) is None:
                    del self.known[peer]

    # What happens ----------------------------------------------------------------------------------------------------

    @rule(step=st.integers(1, 3), primary=listed, secondary=listed)
    def track(self, step: int, primary: dict[PeerId, Address], secondary: dict[PeerId, Address]) -> None:
        id = (self.sets[-1][0] if self.sets else 0) + step
        before = {peer for peer in OTHERS if self.listing(peer) is not None}
        closes = dict(self.directory.track(id, TrackedPeers(primary, secondary), self.now).closes)
        secondary = {peer: address for peer, address in secondary.items() if peer not in primary}
        self.sets = [*self.sets, (id, primary, secondary)][-WINDOW:]
        given = {peer: address for peer, address in (*primary.items(), *secondary.items()) if peer != ME}
        expected = {peer: Reason.ADDRESS_CHANGED for peer in given if self.give(peer, given[peer]) and self.held(peer)}
        for peer in sorted(before):
            if self.listing(peer) is None:
                self.known[peer].address = None
                self.known[peer].given = False
                if self.held(peer) and self.admission == "tracked":
                    expected[peer] = Reason.NOT_TRACKED
        assert closes == expected
        self.forget()

    @rule(peer=peers, address=st.sampled_from(ADDRESSES))
    def overwrite(self, peer: PeerId, address: Address) -> None:
        changes = self.directory.overwrite({peer: address}, self.now)
        if self.listing(peer) is None:
            assert changes.unknown == (peer,)
            return
        changed = self.give(peer, address)
        assert (changes.changed, changes.unchanged) == (((peer,), ()) if changed else ((), (peer,)))
        assert changes.closes == (((peer, Reason.ADDRESS_CHANGED),) if changed and self.held(peer) else ())

    @rule(peer=peers, duration=st.integers(1, 20))
    def block(self, peer: PeerId, duration: int) -> None:
        new = self.blocked.get(peer, 0.0) <= self.now
        if new:
            self.blocked[peer] = self.now + duration
        assert self.directory.table.block(peer, duration, self.now) == (self.blocked[peer], new)

    @rule(peer=peers)
    def unblock(self, peer: PeerId) -> None:
        was = self.directory.table.unblock(peer, self.now) is not None
        assert was == (peer in self.blocked)
        self.blocked.pop(peer, None)

    @rule(seconds=st.sampled_from([0.3, 1.0, 5.0, 60.0]), expire=st.booleans())
    def wait(self, seconds: float, expire: bool) -> None:
        self.now += seconds
        if expire:
            over = {peer for peer, until in self.blocked.items() if until <= self.now}
            assert set(self.directory.table.expire(self.now)) == over
            self.blocked = {peer: until for peer, until in self.blocked.items() if peer not in over}

    @rule(peer=peers)
    def dial(self, peer: PeerId) -> None:
        wanted = self.may_be_dialled(peer) and self.directory.table.pace(peer).dial_at <= self.now
        reserved = self.directory.reserve(peer, self.now)
        assert isinstance(reserved, tuple) == wanted
        if isinstance(reserved, tuple):
            assert reserved[1] == self.known[peer].address
            self.known[peer].hold = reserved[0]

    @rule(peer=peers, supersede=st.booleans(), ip=st.sampled_from(["10.0.0.1", "10.0.0.2"]))
    def claim(self, peer: PeerId, supersede: bool, ip: str) -> None:
        known = self.known.get(peer, Known())
        supersedes = known.hold if supersede else None
        expected = self.claim_refusal(peer, known, ip, supersedes)
        decided = self.directory.admit(Claim(peer, RECORDS[peer], ip, Direction.IN, None, supersedes), self.now)
        assert (None if isinstance(decided, Ticket) else decided) == expected
        if isinstance(decided, Ticket):
            self.accept(peer, decided)

    def claim_refusal(self, peer: PeerId, known: Known, ip: str, supersedes: Ticket | None) -> Reason | None:
        if (refused := self.refusal(peer)) is not None:
            return refused
        if known.given and known.address is not None and str(known.address.egress_ip) != ip:
            return Reason.EGRESS_IP
        if known.hold is not None:
            return Reason.STALE if known.stale else None if supersedes == known.hold else Reason.DUPLICATE
        return Reason.COOLDOWN if self.directory.table.pace(peer).reservable_at > self.now else None

    def accept(self, peer: PeerId, ticket: Ticket) -> None:
        known = self.known.setdefault(peer, Known())
        if known.hold is not None and known.superseded is None:
            known.superseded, known.superseded_open = known.hold, known.open
        elif known.hold is not None:
            self.void.append(known.hold)
        known.hold, known.open = ticket, False
        if not known.signed:
            known.signed = True
            known.address = known.address if known.given else RECORDS[peer].address

    @rule(peer=peers)
    def open(self, peer: PeerId) -> None:
        known = self.known.get(peer)
        if known is None or known.hold is None or known.open:
            return
        known.open = True
        if known.superseded is not None:
            self.void.append(known.superseded)
            known.superseded = None
        unwanted = Reason.ADDRESS_CHANGED if known.stale else self.refusal(peer)
        assert self.directory.opened(peer, self.now) == unwanted

    @rule(peer=peers, reason=reasons)
    def release(self, peer: PeerId, reason: Reason) -> None:
        known = self.known.get(peer)
        if known is None or known.hold is None:
            return
        assert self.directory.release(known.hold, reason, self.now)
        known.hold, known.open, known.superseded = known.superseded, known.superseded_open, None
        self.forget()

    @rule(peer=peers)
    def release_superseded(self, peer: PeerId) -> None:
        known = self.known.get(peer)
        if known is not None and known.superseded is not None:
            assert not self.directory.release(known.superseded, Reason.SUPERSEDED, self.now)
            known.superseded = None

    @rule()
    def release_void(self) -> None:
        if self.void:
            assert not self.directory.release(self.void.pop(), Reason.REPLACED, self.now)

    # What must agree -------------------------------------------------------------------------------------------------

    def held(self, peer: PeerId) -> bool:
        return peer in self.known and self.known[peer].hold is not None

    @invariant()
    def records_agree(self) -> None:
        assert len(self.directory.table) == len(self.known)
        for peer, known in self.known.items():
            record = self.directory.table.get(peer)
            assert record is not None
            assert (record.address, record.given, record.stale) == (known.address, known.given, known.stale)
            assert record.listing == self.listing(peer)
            assert self.directory.is_held(peer) == (known.hold is not None)
        assert self.directory.held == sum(known.hold is not None for known in self.known.values())

    @invariant()
    def sets_agree(self) -> None:
        primary = {peer for _, peers, _ in self.sets for peer in peers}
        secondary = {peer for _, _, peers in self.sets for peer in peers} - primary
        assert self.directory.window.all == PeerSet(tuple(sorted(primary)), tuple(sorted(secondary)))

    @invariant()
    def dialable_agrees(self) -> None:
        ready = {peer for peer in OTHERS if self.may_be_dialled(peer)}
        due = {peer for peer in ready if self.directory.table.pace(peer).quiet_until <= self.now}
        chosen, next_at = self.directory.dialable(10, (), self.now)
        assert set(chosen) == due
        assert next_at is None or next_at > self.now
        assert next_at is not None or ready == due

    @invariant()
    def gate_agrees(self) -> None:
        gate = self.directory.gate()
        assert gate.blocked == {curve_key(peer) for peer in self.blocked}
        if self.admission == "open":
            assert gate.registered_ips is None
            return
        handled = [peer for peer in self.known if peer not in self.blocked and self.listing(peer) is not None]
        ips = {str(address.egress_ip) for peer in handled if (address := self.known[peer].address) is not None}
        assert gate.registered_ips is not None
        assert ips <= gate.registered_ips
        if all(until > self.now for until in self.blocked.values()):  # else it depends on what was settled since
            assert ips == gate.registered_ips


TestDirectory = DirectoryMachine.TestCase
TestDirectory.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
