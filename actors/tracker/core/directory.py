"""Peer sets, addresses and reservations: what the tracker is told, and the tickets that it hands out.

* Who says where a peer is: an operator *gives* an address, by `overwrite` or in a set with addresses, and the newest
  wins; the peer *says* one in its signed record, which comes as a hint, as the peer connects, or in a set of the
  membership. A seed's address counts until there is a record with one.
* An address given makes a reserved or active peer stale, and closes it, if it is another than before and not the one
  that the connected peer says itself. One that the peer says never does, in whatever order sets and hints come, and
  replaces a given one only where the configuration says so (`learn_addresses`).
* A peer that leaves every set loses its address, whoever gave it; a later hint can bring it back.
* A change of role alone closes nothing.

What is believed of a peer's own signed record, whoever passed it on: a hint, the membership, or the peer itself.

* It never lowers trust, never ends or moves a block, and never closes a link.
* It gives an address to who has none, and replaces a given one only where the configuration says so.
* Only a newer one counts; an equal one gives back an address that went with the last set. Of two with one generation
  the membership's counts, and the one that the peer shows as it connects: that is where it lives now.
* A peer that no set lists needs room among the unlisted.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Collection, Hashable, Iterator, Mapping

from msgspec import Struct

from ....transport.address import Address
from ....transport.gatekeeper import Claim, Direction, Role, Ticket
from ....transport.identity import PeerId
from ....transport.reasons import Reason
from ....transport.record import PeerRecord
from ..config import Config
from ..errors import IllegalTransition, PeerSetTooLarge
from .admission import AdmissionGater
from .known_peer import Given, Hold, KnownPeer
from .known_peers import Closes, KnownPeers
from .peer_sets import Job, PeerSet, TrackedPeers, Window, do
from .unlisted_peers import Bound


class Learned(enum.StrEnum):
    """What became of a record that was hinted at."""

    LEARNED = "learned"
    OLD = "old"  # not newer than what is known
    SELF = "self"
    BLOCKED = "blocked"  # the peer, or the IP where it says it is
    NO_ADDRESS = "no_address"  # nor does any set list it
    SOURCE_FULL = Bound.SOURCE
    SUBNET_FULL = Bound.NETWORK
    BOOK_FULL = Bound.ALL
    FORGED = "forged"  # the signature is not the peer's

    def __bool__(self) -> bool:
        return self is Learned.LEARNED


class Tracked(Struct, frozen=True):
    """What `track` did. moved: whose address is another one now. closes: whom to disconnect, and why."""

    moved: tuple[PeerId, ...]
    closes: Closes


class Changes(Struct, frozen=True):
    """What `overwrite` did. closes: whom to disconnect, and why."""

    changed: tuple[PeerId, ...]
    unchanged: tuple[PeerId, ...]
    unknown: tuple[PeerId, ...]
    closes: Closes


class Directory:
    """Peers, peer sets and reservations of one node. Times are monotonic seconds."""

    def __init__(self, config: Config, me: PeerId, rng: random.Random, gater: AdmissionGater | None = None) -> None:
        """me: this node, which is never dialled, accepted or blocked. rng: for jitter and ties.

        gater: the application's own say, asked where all else agrees; None allows everything.
        """
        self.peers = KnownPeers(config, me, rng, gater)
        self.rules = self.peers.rules
        self.window = Window(config.window)
        self.held = 0  # peers that are reserved or active
        self._config = config
        self._me = me
        self._rng = rng
        self._seeds: list[PeerId] = []
        self._tickets = 0

    # Peer sets and addresses -----------------------------------------------------------------------------------------

    def seed(self, peers: Mapping[PeerId, Address], now: float) -> None:
        """Treat these as primary until the first set is tracked: the seeds of a membership."""
        for peer in self._others(peers):
            known = self.peers.make(peer)
            known.seed = True
            known.address = peers[peer]
            self._seeds.append(peer)
            self.peers.refresh(known, now)

    def track_job(self, id: int, peers: TrackedPeers, now: float) -> Job[Tracked]:
        """Add the newest set. Raises StaleSetId or PeerSetTooLarge at once, with nothing changed."""
        self.window.check(id)
        size = peers.size(self._me)
        if size > self._config.max_peers_per_set:
            raise PeerSetTooLarge(size, self._config.max_peers_per_set)
        return self._track_job(id, peers, now)

    def track(self, id: int, peers: TrackedPeers, now: float) -> Tracked:
        """`track_job`, all at once."""
        return do(self.track_job(id, peers, now))

    def _track_job(self, id: int, peers: TrackedPeers, now: float) -> Job[Tracked]:
        touched: dict[PeerId, KnownPeer] = {}
        moved: dict[PeerId, Given] = {}
        for role, addresses in ((Role.PRIMARY, peers.primary), (Role.SECONDARY, peers.secondary)):
            for peer, address in addresses.items():
                if not self.rules.is_me(peer):
                    known = touched[peer] = self.peers.make(peer)
                    known.enlist(role, 1)
                    change = self._place(known, address, now)
                    if change in (Given.CHANGED, Given.CONFIRMED):
                        moved[peer] = change
                yield 1
        touched.update(self._end_seeding())
        evicted = yield from self.window.add_job(id, PeerSet(tuple(peers.primary), tuple(peers.secondary)))
        if evicted is not None:
            for role, names in ((Role.PRIMARY, evicted.primary), (Role.SECONDARY, evicted.secondary)):
                for peer in names:
                    if not self.rules.is_me(peer):
                        known = touched[peer] = self.peers.make(peer)
                        known.enlist(role, -1)
                    yield 1
        closes: list[tuple[PeerId, Reason]] = []
        for known in touched.values():
            if known.role is None:
                known.forget_address()
            closes += self.peers.refresh_listed(known, moved.get(known.peer) is Given.CHANGED, now)
            yield 1
        yield from self.peers.registered.snapshot_job()
        return Tracked(tuple(moved), tuple(closes))

    def _place(self, known: KnownPeer, where: Address | PeerRecord | None, now: float) -> Given:
        """What a set says of where a peer is."""
        if isinstance(where, Address):
            return known.give_address(where)
        if where is None:
            known.recall_address()
            return Given.SAME
        return Given.CONFIRMED if known.believe(where, self._config, now) else Given.SAME

    def overwrite_job(self, addresses: Mapping[PeerId, Address], now: float) -> Job[Changes]:
        """Change addresses of listed peers in place. Others are left alone."""
        changed, unchanged, unknown = [], [], []
        closes: list[tuple[PeerId, Reason]] = []
        for peer in sorted(addresses):
            known = self.peers.get(peer)
            learned = known is not None and not known.given
            if known is None or known.role is None:
                unknown.append(peer)
            elif (given := known.give_address(addresses[peer])) is Given.SAME:
                unchanged.append(peer)
                if learned:  # now it is given, so the peer may come from there only
                    self.peers.refresh(known, now)
            else:
                changed.append(peer)
                closes += self.peers.refresh_listed(known, given is Given.CHANGED, now)
            yield 1
        yield from self.peers.registered.snapshot_job()
        if changed:
            self.peers.queue.changed = True  # also where only the address of a peer that was due is another one
        return Changes(tuple(changed), tuple(unchanged), tuple(unknown), tuple(closes))

    def overwrite(self, addresses: Mapping[PeerId, Address], now: float) -> Changes:
        """`overwrite_job`, all at once."""
        return do(self.overwrite_job(addresses, now))

    def learn(self, signed: PeerRecord, now: float, source: PeerId | None = None, *, shown: bool = False) -> Learned:
        """Take in a record whose signature was checked. source: who named it, None if that was no peer.

        shown: by the peer itself, as it connects.
        """
        peer, address = signed.peer, signed.address
        if self.rules.is_me(peer):
            return Learned.SELF
        if self.peers.blocks.until(peer, now) is not None:
            return Learned.BLOCKED
        if address is not None and self.peers.blocks.ip_until(address.endpoint.ip, now) is not None:
            return Learned.BLOCKED
        known = self.peers.get(peer)
        if known is not None and not (known.is_newer(signed) or (shown and known.is_another(signed))):
            return Learned.OLD
        listed = known is not None and known.role is not None
        if address is None and not listed and (known is None or known.hold is None):
            return Learned.NO_ADDRESS
        if known is not None and known.source is not None:
            source = known.source
        if address is not None and not listed:
            proven = known is not None and known.seen_at is not None
            bound = self.peers.make_room(peer, address, source, now, proven=proven)
            if bound is not None:
                return Learned(bound)
        known = self.peers.make(peer)
        known.signed, known.source = signed, source
        if address is not None:
            if not known.given or self._config.learn_addresses:
                known.address = address
        elif not known.given and not known.seed:  # a seed that tells nobody where it is can still be dialled
            known.address = None
        self.peers.refresh(known, now)
        return Learned.LEARNED

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
        """Whom to dial now, and when to ask again; see `DialQueue.take`. avoid: as `network_of` has them."""
        return self.peers.queue.take(limit, exclude, now, urgent=urgent, avoid=avoid, among=among)

    def reserve(self, peer: PeerId, now: float, *, short_lived: bool = False) -> tuple[Ticket, Address] | Reason:
        """A ticket for a dial and where to, or why not."""
        known = self.peers.get(peer)
        refused = self.rules.dial_refusal(peer, known, now, short_lived=short_lived)
        if refused is not None:
            return refused
        assert known is not None  # of whom nothing is known is refused
        assert known.address is not None  # nor is there a place to dial
        ticket = self._hand_out(known, Direction.OUT, short_lived=short_lived)
        self.peers.refresh(known, now)
        return ticket, known.address

    def admit(self, claim: Claim, now: float) -> Ticket | Reason:
        """Judge a claim: its ticket, or why it is refused."""
        decided = self.rules.admit(claim, self.peers.get(claim.peer), self.peers.pace(claim.peer), now)
        return self._accept(claim, now) if decided is None else decided

    def role(self, peer: PeerId) -> Role:
        """The role a link of this peer has."""
        known = self.peers.get(peer)
        return (known.role if known is not None else None) or Role.SECONDARY

    def opened(
        self, peer: PeerId, now: float, signed: PeerRecord | None = None, *, short_lived: bool = False
    ) -> Reason | None:
        """The reserved link is there; why it must be closed at once, if so. Raises IllegalTransition.

        signed: the record that the peer showed, verified.
        """
        known = self.peers.get(peer)
        if known is None:
            raise IllegalTransition(f"a link to {peer.short} opened that nobody reserved (unknown)")
        known.opened(now, short_lived=short_lived)
        if known.waits is not None:
            known.waits.link_opened()
        if signed is None or not self.learn(signed, now, shown=True):
            self.peers.refresh(known, now)
        self.peers.advice.connected(peer)
        return self.rules.link_refusal(known, now)

    def release(self, ticket: Ticket, reason: Reason, now: float) -> bool:
        """Take a ticket back; False if it was void (superseded, or released before)."""
        known = self.peers.get(ticket.peer)
        ended = known.release(ticket) if known is not None else None
        if known is None or ended is None:
            return False
        if known.hold is None:
            self.held -= 1
            self._rest(known, ended, reason, now)
        self.peers.refresh(known, now)
        return True

    def holds(self) -> Iterator[Hold]:
        """Every ticket that is out, also those that a newer one of their peer supersedes."""
        for peer in self.peers.peers():
            known = self.peers.get(peer)
            assert known is not None  # it is among the peers
            yield from (hold for hold in (known.hold, known.superseded) if hold is not None)

    def is_held(self, peer: PeerId) -> bool:
        """Whether the peer is reserved or active."""
        known = self.peers.get(peer)
        return known is not None and known.hold is not None

    # Parts -----------------------------------------------------------------------------------------------------------

    def _others(self, peers: Collection[PeerId]) -> list[PeerId]:
        return sorted(peer for peer in peers if not self.rules.is_me(peer))

    def _end_seeding(self) -> Iterator[tuple[PeerId, KnownPeer]]:
        seeds, self._seeds = self._seeds, []
        for peer in seeds:
            known = self.peers.make(peer)
            known.seed = False
            yield peer, known

    def _hand_out(self, known: KnownPeer, direction: Direction, *, short_lived: bool = False) -> Ticket:
        self._tickets += 1
        ticket = Ticket(self._tickets, known.peer, direction)
        self.held += known.hold is None
        known.reserve(ticket, short_lived=short_lived)
        return ticket

    def _accept(self, claim: Claim, now: float) -> Ticket:
        known = self.peers.make(claim.peer)
        ticket = self._hand_out(known, Direction.IN)
        known.pace.accepted(self._config, now)
        self.peers.advice.cool(known.peer, known.pace.reservable_at, now)
        self.peers.refresh(known, now)
        return ticket

    def _rest(self, known: KnownPeer, ended: Hold, reason: Reason, now: float) -> None:
        """The peer is inert again: when it may be tried next."""
        config, rng = self._config, self._rng
        if ended.opened_at is not None:
            known.seen_at = now
            lived = now - ended.opened_at
            known.pace.link_ended(reason, lived, config, rng, now, short_lived=ended.short_lived)
            self.peers.advice.cool(known.peer, known.pace.reservable_at, now)
        elif ended.ticket.direction is Direction.OUT:
            missed = known.pace.dial_failed(reason, config, rng, now, short_lived=ended.short_lived)
            if missed:
                known.failed_at = now
                self.peers.unlisted.missed(known.peer)
