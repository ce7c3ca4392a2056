"""What is remembered of peers that no set lists, and for how long. Bounded, so that nobody can fill it.

* A hint is remembered in any admission mode; whether such a peer may be dialled or accepted is the mode's affair.
* A peer is *proven* once a connection to it was open. Peers that are not count against three bounds: of all, of those
  that one source named, and of those in one network (/24 of IPv4, /48 of IPv6, or one name). Proven ones count against
  the first only.
* At a bound, a peer makes room that counts against it: the unproven one with the oldest miss; for a proven newcomer
  then the oldest unproven one, then the proven one with the oldest miss. Never a trusted one, never one that is being
  connected to. If there is none, the newcomer is refused: whoever comes first cannot be pushed out by a flood.
* Trusted peers are bounded by the operator alone.
* A forgotten peer's cooldown and back-off are remembered until they are over (at most as many as hints).
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator

from msgspec import Struct, field

from ....transport.address import Address, Subnet
from ....transport.identity import PeerId
from ..config import Config
from .known_peer import NO_WAIT, KnownPeer, Pace


class Bound(enum.StrEnum):
    """A bound that was reached: which peers are as many as may be."""

    SOURCE = "source_full"
    NETWORK = "subnet_full"
    ALL = "address_book_full"


def network_of(address: Address) -> Hashable:
    """Where an address is: its /24 or /48 as a number, or its name."""
    ip = address.endpoint.ip
    if ip is None:
        return address.endpoint.host
    return int(ip) >> 8 if ip.version == 4 else -1 - (int(ip) >> 80)


def network_number(network: Subnet) -> Hashable:
    """What `network_of` gives for the addresses in there. Raises ValueError for another size than it counts by."""
    if network.prefixlen != (24 if network.version == 4 else 48):
        raise ValueError(f"{network}: allowed are /24 of IPv4 and /48 of IPv6")
    number = int(network.network_address)
    return number >> 8 if network.version == 4 else -1 - (number >> 80)


_Key = tuple[Bound, Hashable]
_UNPROVEN, _PROVEN = (Bound.ALL, False), (Bound.ALL, True)


class _Group(Struct, eq=False):
    """Peers that count against one bound together. missed: oldest miss first."""

    key: _Key
    size: int = 0
    missed: dict[PeerId, None] = field(default_factory=dict)


class UnlistedPeers:
    """The unlisted peers with an address, and the paces of forgotten peers."""

    def __init__(self, config: Config) -> None:
        self._limits = {
            Bound.SOURCE: config.max_hinted_per_source,
            Bound.NETWORK: config.max_hinted_per_subnet,
            Bound.ALL: config.max_hinted_peers,
        }
        self.pushed_out: Counter[Bound] = Counter()
        """How many peers have made room, by what was full."""
        self._groups: dict[_Key, _Group] = {}
        self._unproven: dict[PeerId, tuple[_Group, ...]] = {}  # oldest first
        self._proven: dict[PeerId, tuple[_Group, ...]] = {}
        self._paces: dict[PeerId, Pace] = {}

    def __len__(self) -> int:
        return len(self._unproven) + len(self._proven)

    def full(self, peer: PeerId, address: Address, source: PeerId | None, *, proven: bool) -> Bound | None:
        """Which bound forbids this unlisted peer, as far as it does not count against it already."""
        before = self._groups_of(peer)
        for key in _keys(address, source, proven):
            group, bound = self._groups.get(key), key[0]
            size = len(self) if bound is Bound.ALL else group.size if group is not None else 0
            counted = bool(before) if bound is Bound.ALL else group in before
            if size >= self._limits[bound] and not counted:
                return bound
        return None

    def victims(self, bound: Bound, address: Address, source: PeerId | None, *, proven: bool) -> Iterator[PeerId]:
        """Who may make room for this peer at this bound, best first. Nothing may be changed meanwhile."""
        for key in _keys(address, source, False):
            if key[0] is bound:
                yield from self._missed(key)
        if bound is Bound.ALL and proven:
            yield from self._unproven
            yield from self._missed(_PROVEN)

    def update(self, known: KnownPeer) -> None:
        """Something of this peer has changed: it may be listed now, or count against other bounds."""
        peer, address = known.peer, known.address
        if known.role is not None or address is None:
            if self._groups_of(peer):
                self._take_out(peer)
            return
        proven = known.seen_at is not None
        groups = tuple(self._groups.get(key) or _Group(key) for key in _keys(address, known.source, proven))
        if groups != self._groups_of(peer):
            self._take_out(peer)
            self._put_in(peer, groups, proven=proven)
        if known.known_pace.last_miss is None:
            self._forget_miss(peer)
        elif peer not in groups[0].missed:
            self.missed(peer)

    def missed(self, peer: PeerId) -> None:
        """A dial of this peer failed, later than all that failed before."""
        self._forget_miss(peer)
        for group in self._groups_of(peer):
            group.missed[peer] = None

    def forget(self, known: KnownPeer, now: float) -> None:
        """The peer is dropped; what it has to wait for stays."""
        self._take_out(known.peer)
        while self._paces:
            oldest = next(iter(self._paces))
            if self._paces[oldest].quiet_until > now and len(self._paces) < self._limits[Bound.ALL]:
                break
            del self._paces[oldest]
        if known.known_pace.quiet_until > now:
            self._paces[known.peer] = known.pace

    def pace(self, peer: PeerId) -> Pace:
        """What a forgotten peer still has to wait for."""
        return self._paces.get(peer) or NO_WAIT

    def recall(self, peer: PeerId) -> Pace | None:
        """The same, for a peer that is known again; None if it has to wait for nothing."""
        return self._paces.pop(peer, None) if self._paces else None

    def _groups_of(self, peer: PeerId) -> tuple[_Group, ...]:
        return self._unproven.get(peer) or self._proven.get(peer) or ()

    def _missed(self, key: _Key) -> Iterable[PeerId]:
        return self._groups[key].missed if key in self._groups else ()

    def _put_in(self, peer: PeerId, groups: tuple[_Group, ...], *, proven: bool) -> None:
        (self._proven if proven else self._unproven)[peer] = groups
        for group in groups:
            self._groups[group.key] = group
            group.size += 1

    def _take_out(self, peer: PeerId) -> None:
        self._forget_miss(peer)
        for group in self._unproven.pop(peer, ()) or self._proven.pop(peer, ()):
            group.size -= 1
            if not group.size:
                del self._groups[group.key]

    def _forget_miss(self, peer: PeerId) -> None:
        for group in self._groups_of(peer):
            group.missed.pop(peer, None)


def _keys(address: Address, source: PeerId | None, proven: bool) -> tuple[_Key, ...]:
    """The groups in which an unlisted peer counts."""
    if proven:
        return (_PROVEN,)
    network = Bound.NETWORK, network_of(address)
    return (network, _UNPROVEN) if source is None else ((Bound.SOURCE, source), network, _UNPROVEN)
