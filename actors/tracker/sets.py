"""Peer sets: what `track` takes, what readers get, and the window of the newest ones.

* A set has two parts. A peer in both is primary, with its primary address.
* Ids strictly increase; gaps are fine. The window holds the newest few; older ones are evicted, lowest id first.
* Sets hold names only. Addresses belong to the peers, and the newest set's win.
* Over the whole window, a peer that is primary in any set is primary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ...transport.address import Address
from ...transport.identity import PeerId
from .errors import StaleSetId

Addresses = Mapping[PeerId, Address | None]


@dataclass(frozen=True, slots=True)
class TrackedPeers:
    """What to track: peers and where they are. None for an address: the peer's own record will tell.

    Both mappings are copied, so changing them afterwards changes nothing.
    """

    primary: Addresses
    secondary: Addresses = field(default_factory=dict)

    def __post_init__(self) -> None:
        secondary = {peer: address for peer, address in self.secondary.items() if peer not in self.primary}
        object.__setattr__(self, "primary", MappingProxyType(dict(self.primary)))
        object.__setattr__(self, "secondary", MappingProxyType(secondary))

    @classmethod
    def of(cls, peers: TrackedPeers | Addresses) -> TrackedPeers:
        """A plain mapping lists primaries."""
        return peers if isinstance(peers, TrackedPeers) else cls(peers)

    def size(self, me: PeerId) -> int:
        """Different peers, this node included."""
        listed = me in self.primary or me in self.secondary
        return len(self.primary) + len(self.secondary) + (not listed)


@dataclass(frozen=True, slots=True)
class PeerSet:
    """The peers of a set, or of all sets: sorted, each in one part only."""

    primary: tuple[PeerId, ...] = ()
    secondary: tuple[PeerId, ...] = ()

    @classmethod
    def of(cls, primary: Iterable[PeerId], secondary: Iterable[PeerId]) -> PeerSet:
        """Primary wins."""
        first = set(primary)
        return cls(tuple(sorted(first)), tuple(sorted(set(secondary) - first)))


class Window:
    """The newest peer sets by id."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._sets: dict[int, PeerSet] = {}  # in the order of their ids, as these increase

    @property
    def newest(self) -> int | None:
        """The highest id so far; None before the first set."""
        return next(reversed(self._sets), None)

    def check(self, id: int) -> None:
        """Raise StaleSetId unless `id` is above the newest one."""
        if self.newest is not None and id <= self.newest:
            raise StaleSetId(id, self.newest)

    def add(self, id: int, peers: PeerSet) -> PeerSet | None:
        """Add the newest set; the one it pushes out, if any. Raises StaleSetId."""
        self.check(id)
        self._sets[id] = peers
        return self._sets.pop(next(iter(self._sets))) if len(self._sets) > self._size else None

    def get(self, id: int) -> PeerSet | None:
        """The set with this id; None if it is evicted or never was."""
        return self._sets.get(id)

    def all(self) -> PeerSet:
        """Every peer of the window, in its best role."""
        sets = self._sets.values()
        return PeerSet.of(
            (peer for peers in sets for peer in peers.primary), (peer for peers in sets for peer in peers.secondary)
        )
