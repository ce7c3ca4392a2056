"""What the directory should do, the naive way: everything is looked up anew each time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, ip_address

from rookery.actors.tracker import Config, Target
from rookery.actors.tracker.core.directory import Learned
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Role, Ticket
from rookery.transport.identity import PeerId
from rookery.transport.reasons import Reason
from rookery.transport.record import PeerRecord

Addresses = Mapping[PeerId, Address | PeerRecord | None]


@dataclass
class Known:
    """One peer. missed, since: numbers that grow: when it missed last, and since when it is unlisted as it is."""

    address: Address | None = None
    given: bool = False
    signed: PeerRecord | None = None
    source: PeerId | None = None
    seen: bool = False
    stale: bool = False
    hold: Ticket | None = None
    open: bool = False
    superseded: Ticket | None = None
    superseded_open: bool = False
    missed: int | None = None
    since: int = 0


@dataclass
class Model:
    """A directory whose peers are few. Every peer but `me` may be anything."""

    config: Config
    me: PeerId
    others: tuple[PeerId, ...]
    trusted: set[PeerId] = field(default_factory=set)
    now: float = 0.0
    sets: list[tuple[int, Addresses, Addresses]] = field(default_factory=list)
    known: dict[PeerId, Known] = field(default_factory=dict)
    blocks: dict[Target, float] = field(default_factory=dict)
    recent: list[PeerId] = field(default_factory=list)
    ticks: int = 0

    def tick(self) -> int:
        self.ticks += 1
        return self.ticks

    # Questions -------------------------------------------------------------------------------------------------------

    def role(self, peer: PeerId) -> Role | None:
        if any(peer in primary for _, primary, _ in self.sets):
            return Role.PRIMARY
        return Role.SECONDARY if any(peer in secondary for _, _, secondary in self.sets) else None

    def mode_refusal(self, peer: PeerId) -> Reason | None:
        if self.config.admission == "private":
            return None if peer in self.trusted else Reason.PRIVATE
        return Reason.NOT_TRACKED if self.config.admission == "tracked" and self.role(peer) is None else None

    def refusal(self, peer: PeerId) -> Reason | None:
        return Reason.BLOCKED if self.blocks.get(peer, 0.0) > self.now else self.mode_refusal(peer)

    def ip_blocked(self, ip: object) -> bool:
        return any(
            until > self.now and (target == ip or (not isinstance(target, PeerId) and str(ip) in texts(target)))
            for target, until in self.blocks.items()
        )

    def held(self, peer: PeerId) -> bool:
        return peer in self.known and self.known[peer].hold is not None

    def may_be_dialled(self, peer: PeerId) -> bool:
        known = self.known.get(peer, Known())
        if known.hold is not None or known.address is None or self.ip_blocked(known.address.endpoint.ip):
            return False
        return self.refusal(peer) is None and self.role(peer) is not Role.SECONDARY

    def claim_refusal(self, peer: PeerId, ip: str, supersedes: Ticket | None, reservable_at: float) -> Reason | None:
        known = self.known.get(peer, Known())
        if (refused := self.refusal(peer)) is not None:
            return refused
        if self.ip_blocked(ip_address(ip)):
            return Reason.BLOCKED
        if known.given and known.address is not None and str(known.address.egress_ip) != ip:
            return Reason.EGRESS_IP
        if known.hold is not None and known.stale:
            return Reason.STALE
        if known.hold is not None and supersedes != known.hold:
            return Reason.DUPLICATE
        return Reason.COOLDOWN if reservable_at > self.now else None

    def alternatives(self) -> set[PeerId]:
        """Whom a peer that is turned away is told of."""
        if self.config.admission == "private":
            return set()
        known = {peer: self.known[peer].signed for peer in self.recent if peer in self.known}
        return {
            peer
            for peer, record in known.items()
            if record is not None and self.refusal(peer) is None and not self.ip_blocked(ip_of(record))
        }

    # Changes ---------------------------------------------------------------------------------------------------------

    def give(self, peer: PeerId, address: Address) -> tuple[bool, bool]:
        """As an operator does; whether the address is another one, and whether a link or dial may not outlive that."""
        known = self.known.setdefault(peer, Known())
        changed = known.address != address
        says_so = known.hold is not None and known.open and known.signed is not None and known.signed.address == address
        severs = changed and known.address is not None and not says_so
        known.given, known.address = True, address
        known.stale = known.stale or (severs and known.hold is not None)
        known.missed = None if changed else known.missed
        return changed, severs

    def believe(self, peer: PeerId, record: PeerRecord) -> None:
        """As the membership's sets say."""
        known = self.known.setdefault(peer, Known())
        if known.signed is None or record.generation >= known.signed.generation:
            known.signed = record
        if not known.given:
            known.missed = None if known.address != record.address else known.missed
            known.address = record.address

    def track(self, id: int, primary: Addresses, secondary: Addresses) -> dict[PeerId, Reason]:
        """Whom it closes."""
        sets = [*self.sets, (id, primary, secondary)]
        self.sets = sets[-self.config.window :]
        evicted = {peer for _, *both in sets[: -self.config.window] for peers in both for peer in peers}
        closes = {}
        for peer, address in (*primary.items(), *secondary.items()):
            if peer != self.me:
                known = self.known.setdefault(peer, Known())
                if address is None and known.address is None and known.signed is not None:
                    known.address = known.signed.address
                elif isinstance(address, PeerRecord):
                    self.believe(peer, address)
                elif address is not None and self.give(peer, address)[1] and self.held(peer):
                    closes[peer] = Reason.ADDRESS_CHANGED
        touched = {*evicted, *primary, *secondary} - {self.me}
        for peer in touched:
            if self.role(peer) is None:
                self.known[peer].address, self.known[peer].given = None, False
            refused = self.mode_refusal(peer)
            if self.held(peer) and peer not in closes and refused is not None:
                closes[peer] = refused
        self.sweep()
        return closes

    def sweep(self) -> None:
        """Forget who has neither role, ticket nor address."""
        for peer, known in list(self.known.items()):
            if known.hold is None:
                known.stale = False
                if known.address is None and self.role(peer) is None:
                    del self.known[peer]

    def learn(self, record: PeerRecord, source: PeerId | None, *, shown: bool = False) -> Learned:
        """A hint, or what the peer itself shows; the record has an address."""
        peer, address = record.peer, record.address
        assert address is not None
        if self.blocks.get(peer, 0.0) > self.now or self.ip_blocked(address.endpoint.ip):
            return Learned.BLOCKED
        known = self.known.get(peer)
        if known is not None and known.signed is not None:
            again = record.generation == known.signed.generation and known.address is None
            again = again or (shown and record.generation == known.signed.generation and record != known.signed)
            if record.generation <= known.signed.generation and not again:
                return Learned.OLD
        source = known.source if known is not None and known.source is not None else source
        if self.role(peer) is None and peer not in self.trusted:
            full = self.make_room(peer, address, source)
            if full is not None:
                return full
        known = self.known.setdefault(peer, Known())
        before = self.keys(peer)
        known.signed, known.source = record, source
        if not known.given:
            known.address = address
        self.moved(peer, before)
        return Learned.LEARNED

    # The unlisted ----------------------------------------------------------------------------------------------------

    def unlisted(self) -> list[PeerId]:
        return [peer for peer in self.known if self.known[peer].address is not None and self.role(peer) is None]

    def keys(self, peer: PeerId) -> tuple[object, ...]:
        """Against what the peer counts."""
        known = self.known.get(peer, Known())
        if known.address is None or self.role(peer) is not None:
            return ()
        return (True,) if known.seen else (known.source, network(known.address), False)

    def moved(self, peer: PeerId, before: tuple[object, ...]) -> None:
        """If it counts against something else now, it is the newest there, and its miss the latest."""
        known = self.known[peer]
        if self.keys(peer) != before:
            known.since = self.tick()
            known.missed = known.missed and self.tick()

    def make_room(self, peer: PeerId, address: Address, source: PeerId | None) -> Learned | None:
        proven = peer in self.known and self.known[peer].seen
        while (full := self.full(peer, address, source, proven)) is not None:
            victim = self.victim(full, address, source, proven)
            if victim is None:
                return full
            self.known[victim].address = None
            self.sweep()
        return None

    def full(self, peer: PeerId, address: Address, source: PeerId | None, proven: bool) -> Learned | None:
        others = [each for each in self.unlisted() if each != peer]
        unproven = [self.known[each] for each in others if not self.known[each].seen]
        own = self.keys(peer)
        if not proven:
            same_source = sum(each.source == source for each in unproven)
            same_network = sum(
                each.address is not None and network(each.address) == network(address) for each in unproven
            )
            if source is not None and same_source >= self.config.max_hinted_per_source and source not in own[:1]:
                return Learned.SOURCE_FULL
            if same_network >= self.config.max_hinted_per_subnet and network(address) not in own[1:2]:
                return Learned.SUBNET_FULL
        return Learned.BOOK_FULL if len(others) >= self.config.max_hinted_peers and not own else None

    def victim(self, full: Learned, address: Address, source: PeerId | None, proven: bool) -> PeerId | None:
        able = [peer for peer in self.unlisted() if peer not in self.trusted and not self.held(peer)]
        unproven = [peer for peer in able if not self.known[peer].seen]
        match full:
            case Learned.SOURCE_FULL:
                missed = [peer for peer in unproven if self.known[peer].source == source]
            case Learned.SUBNET_FULL:
                missed = [peer for peer in unproven if network(self.known[peer].address) == network(address)]
            case _:
                missed = unproven
        order = self.by_miss(missed)
        if full is Learned.BOOK_FULL and proven:
            order += sorted(unproven, key=lambda peer: self.known[peer].since)
            order += self.by_miss([peer for peer in able if self.known[peer].seen])
        return order[0] if order else None

    def by_miss(self, peers: list[PeerId]) -> list[PeerId]:
        """Those that missed, oldest first."""
        missed = {peer: self.known[peer].missed for peer in peers}
        return sorted((peer for peer in peers if missed[peer] is not None), key=lambda peer: missed[peer] or 0)


def network(address: Address | None) -> str:
    assert address is not None
    return address.endpoint.host.rpartition(".")[0]


def texts(target: Target) -> set[str]:
    """Every IP that a blocked IP or small network holds."""
    return set(map(str, target)) if isinstance(target, IPv4Network) else {str(target)}


def ip_of(record: PeerRecord) -> object:
    return record.address and record.address.endpoint.ip
