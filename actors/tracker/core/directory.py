"""Every decision of the tracker, as plain state: no clock, no socket, no messages.

A peer may be connected to as this table says; the columns it shares are `refusal`:

=============  ========  ===========  ====  ===========  ==========  ==================
predicate      not self  not blocked  mode  ticket       address     time
=============  ========  ===========  ====  ===========  ==========  ==================
refusal        yes       yes          yes
dialable       yes       yes          yes   none out     endpoint    back-off and rest
reserve        yes       yes          yes   none out     endpoint    back-off
admit inbound  yes       yes          yes   none, moves  egress IP   cooldown
admit a dial   yes       yes          yes   its own
registered IP  yes       yes          yes                egress IP
=============  ========  ===========  ====  ===========  ==========  ==================

* Who is listed as secondary only is accepted, never dialled. Who is in no set but let in is served as a secondary.
* Who says where a peer is: an operator *gives* an address, by `overwrite` or in a set with addresses, and the newest
  wins; the peer *says* one in its signed record, which comes as a hint, as the peer connects, or in a set of the
  membership. A seed's address counts until there is a record with one.
* An address given makes a reserved or active peer stale, and closes it, if it is another than before and not the one
  that the connected peer says itself. One that the peer says never does, in whatever order sets and hints come, and
  replaces a given one only where the configuration says so (`learn_addresses`).
* A peer that leaves every set loses its address, whoever gave it; a later hint can bring it back.
* A change of role alone closes nothing.

Modes and derived state: `table`. Tickets: `record`. Times: `pace`. Order of dials: `dialqueue`. Bounds: `book`.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass

from ....transport.address import Address
from ....transport.gatekeeper import Claim, Direction, Gate, Link, Role, Ticket
from ....transport.gater import Gaters
from ....transport.identity import PeerId
from ....transport.reasons import Reason
from ....transport.record import PeerRecord
from ..config import Config
from ..errors import IllegalTransition, PeerSetTooLarge
from .gates import Gates
from .hints import Learned, believe, learn
from .known_peer import Given, Hold, Record
from .known_peers import Closes, Table
from .peer_sets import PeerSet, TrackedPeers, Window
from .steps import Steps, run


@dataclass(frozen=True, slots=True)
class Tracked:
    """What `track` did. moved: whose address is another one now. closes: whom to disconnect, and why."""

    moved: tuple[PeerId, ...]
    closes: Closes


@dataclass(frozen=True, slots=True)
class Changes:
    """What `overwrite` did. closes: whom to disconnect, and why."""

    changed: tuple[PeerId, ...]
    unchanged: tuple[PeerId, ...]
    unknown: tuple[PeerId, ...]
    closes: Closes


class Directory:
    """Peers, peer sets, blocks and reservations. Times are monotonic seconds."""

    def __init__(self, config: Config, me: PeerId, rng: random.Random, gaters: Gaters | None = None) -> None:
        """me: this node, which is never dialled, accepted or blocked. rng: for jitter and ties.

        gaters: the application's own say, asked where all else agrees.
        """
        self.table = Table(config, me, rng)
        self.window = Window(config.window)
        self._config = config
        self._me = me
        self._rng = rng
        self._gaters = Gaters() if gaters is None else gaters
        self._seeds: list[PeerId] = []
        self._tickets = 0
        self.held = 0  # peers that are reserved or active
        self._gates = Gates(config, self.table, self._gaters)

    # Peer sets and addresses -----------------------------------------------------------------------------------------

    def seed(self, peers: Mapping[PeerId, Address], now: float) -> None:
        """Treat these as primary until the first set is tracked: the seeds of a membership."""
        for peer in self._others(peers):
            record = self.table.make(peer)
            record.seed = True
            record.address = peers[peer]
            self._seeds.append(peer)
            self.table.settle(record, now)

    def tracking(self, id: int, peers: TrackedPeers, now: float) -> Steps[Tracked]:
        """Add the newest set. Raises StaleSetId or PeerSetTooLarge at once, with nothing changed."""
        self.window.check(id)
        size = peers.size(self._me)
        if size > self._config.max_peers_per_set:
            raise PeerSetTooLarge(size, self._config.max_peers_per_set)
        return self._tracking(id, peers, now)

    def track(self, id: int, peers: TrackedPeers, now: float) -> Tracked:
        """`tracking`, all at once."""
        return run(self.tracking(id, peers, now))

    def _tracking(self, id: int, peers: TrackedPeers, now: float) -> Steps[Tracked]:
        touched: dict[PeerId, Record] = {}
        moved: dict[PeerId, Given] = {}
        for role, addresses in ((Role.PRIMARY, peers.primary), (Role.SECONDARY, peers.secondary)):
            for peer, address in addresses.items():
                if not self.table.is_me(peer):
                    record = touched[peer] = self.table.make(peer)
                    record.enlist(role, 1)
                    change = self._place(record, address)
                    if change in (Given.CHANGED, Given.CONFIRMED):
                        moved[peer] = change
                yield 1
        touched.update(self._end_seeding())
        evicted = yield from self.window.adding(id, PeerSet(tuple(peers.primary), tuple(peers.secondary)))
        if evicted is not None:
            for role, names in ((Role.PRIMARY, evicted.primary), (Role.SECONDARY, evicted.secondary)):
                for peer in names:
                    if not self.table.is_me(peer):
                        record = touched[peer] = self.table.make(peer)
                        record.enlist(role, -1)
                    yield 1
        closes: list[tuple[PeerId, Reason]] = []
        for record in touched.values():
            if record.listing is None:
                record.forget_address()
            closes += self.table.settle_listed(record, moved.get(record.peer) is Given.CHANGED, now)
            yield 1
        yield from self.table.register.snapping()
        return Tracked(tuple(moved), tuple(closes))

    def _place(self, record: Record, where: Address | PeerRecord | None) -> Given:
        """What a set says of where a peer is."""
        if isinstance(where, Address):
            return record.give_address(where)
        if where is None:
            record.recall_address()
            return Given.SAME
        return Given.CONFIRMED if believe(record, self._config, where) else Given.SAME

    def overwriting(self, addresses: Mapping[PeerId, Address], now: float) -> Steps[Changes]:
        """Change addresses of listed peers in place. Others are left alone."""
        changed, unchanged, unknown = [], [], []
        closes: list[tuple[PeerId, Reason]] = []
        for peer in sorted(addresses):
            record = self.table.get(peer)
            learned = record is not None and not record.given
            if record is None or record.listing is None:
                unknown.append(peer)
            elif (given := record.give_address(addresses[peer])) is Given.SAME:
                unchanged.append(peer)
                if learned:  # now it is given, so the peer may come from there only
                    self.table.settle(record, now)
            else:
                changed.append(peer)
                closes += self.table.settle_listed(record, given is Given.CHANGED, now)
            yield 1
        yield from self.table.register.snapping()
        if changed:
            self.table.queue.changed = True  # also where only the address of a peer that was due is another one
        return Changes(tuple(changed), tuple(unchanged), tuple(unknown), tuple(closes))

    def overwrite(self, addresses: Mapping[PeerId, Address], now: float) -> Changes:
        """`overwriting`, all at once."""
        return run(self.overwriting(addresses, now))

    def learn(self, signed: PeerRecord, now: float, source: PeerId | None = None) -> Learned:
        """Take in a hint; see `hints.learn`."""
        return learn(self.table, self._config, signed, now, source)

    # Dialling and reservations ---------------------------------------------------------------------------------------

    def dialable(
        self,
        limit: int,
        exclude: Collection[PeerId],
        now: float,
        *,
        urgent: bool = False,
        avoid: Collection[Hashable] = (),
        among: frozenset[PeerId] | None = None,
    ) -> tuple[tuple[PeerId, ...], float | None]:
        """Whom to dial now, and when to ask again; see `DialQueue.take`. avoid: networks as `book.network_of` has."""
        return self.table.queue.take(limit, exclude, now, urgent=urgent, avoid=avoid, among=among)

    def reserve(self, peer: PeerId, now: float) -> tuple[Ticket, Address] | Reason:
        """A ticket for a dial and where to, or why not."""
        refused = self.table.refusal(peer, now)
        if refused is not None:
            return refused
        record = self.table.get(peer)
        if record is None or record.listing is Role.SECONDARY:
            return Reason.NOT_TRACKED
        if record.hold is not None:
            return Reason.DUPLICATE
        if not self._gaters.intercept_peer_dial(peer):
            return Reason.GATED
        if record.address is None or not self.table.may_dial(record.address):
            return Reason.UNRESOLVED
        if self.table.ip_blocked_until(record, now) is not None:
            return Reason.BLOCKED
        if now < record.known_pace.dial_at:
            return Reason.COOLDOWN
        ticket = self._hand_out(record, Direction.OUT)
        self.table.settle(record, now)
        return ticket, record.address

    def admit(self, claim: Claim, now: float) -> Ticket | Reason:
        """Judge a claim: its ticket, or why it is refused."""
        refused = self.table.refusal(claim.peer, now)
        if refused is not None:
            return refused
        record = self.table.get(claim.peer)
        if claim.direction is Direction.OUT:
            return self._admit_dial(claim, record)
        return self._inbound_refusal(claim, record, now) or self._gated(claim) or self._accept(claim, now)

    def role(self, peer: PeerId) -> Role:
        """The role a link of this peer has."""
        record = self.table.get(peer)
        return (record.listing if record is not None else None) or Role.SECONDARY

    def opened(self, peer: PeerId, now: float, signed: PeerRecord | None = None) -> Reason | None:
        """The reserved link is there; why it must be closed at once, if so. Raises IllegalTransition.

        signed: the record that the peer showed, verified.
        """
        record = self.table.get(peer)
        if record is None:
            raise IllegalTransition(f"a link to {peer.short} opened that nobody reserved (unknown)")
        record.opened(now)
        if record.waits is not None:
            record.waits.link_opened()
        if signed is None or not learn(self.table, self._config, signed, now, None, shown=True):
            self.table.settle(record, now)
        self.table.told.saw(peer)
        return Reason.ADDRESS_CHANGED if record.stale else self.table.refusal(peer, now)

    def upgraded(self, link: Link) -> Reason | None:
        """Why a link that has just opened must be closed at once: the application's last word."""
        return None if self._gaters.intercept_upgraded(link) else Reason.GATED

    def release(self, ticket: Ticket, reason: Reason, now: float) -> bool:
        """Take a ticket back; False if it was void (superseded, or released before)."""
        record = self.table.get(ticket.peer)
        ended = record.release(ticket) if record is not None else None
        if record is None or ended is None:
            return False
        if record.hold is None:
            self.held -= 1
            self._rest(record, ended, reason, now)
        self.table.settle(record, now)
        return True

    def holds(self) -> Iterator[Hold]:
        """Every ticket that is out, also those that a newer one of their peer supersedes."""
        for peer in self.table.peers():
            record = self.table.get(peer)
            assert record is not None  # it is among the peers
            yield from (hold for hold in (record.hold, record.superseded) if hold is not None)

    def is_held(self, peer: PeerId) -> bool:
        """Whether the peer is reserved or active."""
        record = self.table.get(peer)
        return record is not None and record.hold is not None

    def gate(self, now: float, *, told: bool = False) -> Gate:
        """What transport refuses by itself; see `Gates.current`."""
        return self._gates.current(now, told=told)

    def alternatives(self, peer: PeerId) -> tuple[PeerRecord, ...]:
        """Whom a peer may ask that is turned away for now; the gate names the same."""
        return self._gates.alternatives(peer)

    # Parts -----------------------------------------------------------------------------------------------------------

    def _others(self, peers: Collection[PeerId]) -> list[PeerId]:
        return sorted(peer for peer in peers if not self.table.is_me(peer))

    def _end_seeding(self) -> Iterator[tuple[PeerId, Record]]:
        seeds, self._seeds = self._seeds, []
        for peer in seeds:
            record = self.table.make(peer)
            record.seed = False
            yield peer, record

    def _hand_out(self, record: Record, direction: Direction) -> Ticket:
        self._tickets += 1
        ticket = Ticket(self._tickets, record.peer, direction)
        self.held += record.hold is None
        record.reserve(ticket)
        return ticket

    def _admit_dial(self, claim: Claim, record: Record | None) -> Ticket | Reason:
        if record is None or record.hold is None or record.stale or record.hold.ticket != claim.ticket:
            return Reason.STALE
        return self._gated(claim) or record.hold.ticket

    def _gated(self, claim: Claim) -> Reason | None:
        allowed = self._gaters.intercept_secured(claim.direction, claim.peer, claim.ip)
        return None if allowed else Reason.GATED

    def _inbound_refusal(self, claim: Claim, record: Record | None, now: float) -> Reason | None:
        refused = self.table.source_refusal(record, claim.ip, now)
        if refused is not None:
            return refused
        if record is not None and record.hold is not None:
            if record.stale:
                return Reason.STALE
            if claim.supersedes != record.hold.ticket:
                return Reason.DUPLICATE
        return Reason.COOLDOWN if now < self.table.pace(claim.peer).reservable_at else None

    def _accept(self, claim: Claim, now: float) -> Ticket:
        record = self.table.make(claim.peer)
        ticket = self._hand_out(record, Direction.IN)
        record.pace.accepted(self._config, now)
        self.table.told.cool(record.peer, record.pace.reservable_at, now)
        self.table.settle(record, now)
        return ticket

    def _rest(self, record: Record, ended: Hold, reason: Reason, now: float) -> None:
        """The peer is inert again: when it may be tried next."""
        config, rng = self._config, self._rng
        if ended.opened_at is not None:
            record.seen_at = now
            record.pace.link_ended(reason, now - ended.opened_at, config, rng, now)
            self.table.told.cool(record.peer, record.pace.reservable_at, now)
        elif ended.ticket.direction is Direction.OUT:
            missed = record.pace.dial_failed(reason, config, rng, now)
            if missed:
                record.failed_at = now
                self.table.book.missed(record.peer)
