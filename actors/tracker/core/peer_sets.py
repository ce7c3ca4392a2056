"""Peer sets: what `track` takes, what readers get, and the window of the newest ones.

* A set has two parts. A peer in both is primary, with its primary address. A set may be empty: nobody is tracked then.
* Ids strictly increase, from 0 to 2**64 - 1; gaps are fine. The window holds the newest few; older ones are evicted,
  lowest id first.
* Sets hold names only. Addresses belong to the peers, and the newest set's win.
* Over the whole window, a peer that is primary in any set is primary.

Whatever may take longer than a handler may run is a `Job`, which `runtime.Slices` does a slice at a time; what `track`
does at once is `track_job`. Until a job is done the state is neither that of before nor that of afterwards: nobody may
look at it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from msgspec import Struct

from ....runtime.arguments import shortened
from ....transport.address import Address
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ..errors import StaleSetId

_PIECE = 1024  # peers of the longest set that are merged in one piece
_PIECE_COSTS = 32  # merging is much cheaper than tracking
T = TypeVar("T")
Job = Generator[int, None, T]
"""What it yields says how much was done, in peers looked at."""
Addresses = Mapping[PeerId, Address | PeerRecord | None]


@dataclass(frozen=True, slots=True)
class TrackedPeers:
    """What to track: peers and where they are.

    An address is an operator's word. A record is the peer's own, its signature checked by whoever has it: so says the
    membership. None: the peer's own record will tell. A peer in both is primary. Both mappings are copied, in order of
    the peers, so changing them afterwards changes nothing. Raises ValueError for what is no peer or no address, and for
    the record of another peer.
    """

    primary: Addresses
    secondary: Addresses = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self.primary)
        _check(self.secondary)
        primary = {peer: self.primary[peer] for peer in sorted(self.primary)}
        secondary = {peer: self.secondary[peer] for peer in sorted(self.secondary) if peer not in primary}
        object.__setattr__(self, "primary", MappingProxyType(primary))
        object.__setattr__(self, "secondary", MappingProxyType(secondary))

    @classmethod
    def of(cls, peers: TrackedPeers | Addresses) -> TrackedPeers:
        """A plain mapping lists primaries."""
        return peers if isinstance(peers, TrackedPeers) else cls(peers)

    def size(self, me: PeerId) -> int:
        """Different peers, this node included."""
        listed = me in self.primary or me in self.secondary
        return len(self.primary) + len(self.secondary) + (not listed)


def _check(listed: Addresses) -> None:
    if not isinstance(listed, Mapping):
        raise ValueError(f"peers are a mapping of a PeerId to an Address each, not {shortened(listed)}")  # noqa: TRY004
    for peer, where in listed.items():
        if not isinstance(peer, PeerId):
            raise ValueError(f"{shortened(peer)} is no PeerId")  # noqa: TRY004
        if isinstance(where, PeerRecord):
            if where.peer != peer:
                raise ValueError(f"{peer} is listed with the record of {where.peer}: allowed is its own")
        elif where is not None and not isinstance(where, Address):
            raise ValueError(f"the address of {peer} is an Address or None, not {shortened(where)}")


class PeerSet(Struct, frozen=True):
    """The peers of a set, or of all sets: sorted, each in one part only."""

    primary: tuple[PeerId, ...] = ()
    secondary: tuple[PeerId, ...] = ()

    @classmethod
    def of(cls, primary: Iterable[PeerId], secondary: Iterable[PeerId]) -> PeerSet:
        """In order, primary winning."""
        first = set(primary)
        return cls(tuple(sorted(first)), tuple(sorted(set(secondary) - first)))


class Window:
    """The newest peer sets by id, and what they come to together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._sets: dict[int, PeerSet] = {}  # in the order of their ids, as these increase
        self.all = PeerSet()
        """Every peer of the window, in its best role."""

    @property
    def newest(self) -> int | None:
        """The highest id so far; None before the first set."""
        return next(reversed(self._sets), None)

    def check(self, id: int) -> None:
        """Raise StaleSetId unless `id` is above the newest one."""
        if self.newest is not None and id <= self.newest:
            raise StaleSetId(id, self.newest)

    def add_job(self, id: int, peers: PeerSet) -> Job[PeerSet | None]:
        """Add the newest set; the one it pushes out, if any. Raises StaleSetId."""
        self.check(id)
        self._sets[id] = peers
        evicted = self._sets.pop(next(iter(self._sets))) if len(self._sets) > self._size else None
        sets = self._sets.values()
        primary = yield from _union([each.primary for each in sets])
        secondary = yield from _union([each.secondary for each in sets], without=primary)
        self.all = PeerSet(primary, secondary)
        return evicted

    def get(self, id: int) -> PeerSet | None:
        """The set with this id; None if it is evicted or never was."""
        return self._sets.get(id)


def _union(parts: list[tuple[PeerId, ...]], *, without: tuple[PeerId, ...] = ()) -> Job[tuple[PeerId, ...]]:
    """Merge sorted tuples into one, a range of ids at a time, and leave out what another one holds."""
    longest = max(parts, key=len)
    if not longest or (len(parts) == 1 and not without):
        return longest
    merged: list[PeerId] = []
    starts = [0] * len(parts)
    left_out = 0
    for piece in range(_PIECE, len(longest) + _PIECE, _PIECE):
        bound = longest[piece] if piece < len(longest) else None
        found: list[PeerId] = []
        for number, part in enumerate(parts):
            end = len(part) if bound is None else bisect_left(part, bound, starts[number])
            found += part[starts[number] : end]
            starts[number] = end
        found.sort()  # of sorted runs, so this merges them
        end = len(without) if bound is None else bisect_left(without, bound, left_out)
        each = dict.fromkeys(found)
        for peer in without[left_out:end] if len(without) else ():
            each.pop(peer, None)
        left_out = end
        merged += each
        yield _PIECE_COSTS
    return tuple(merged)


def do(job: Job[T]) -> T:
    """Do a job to its end, at once; what it comes to."""
    while True:
        try:
            next(job)
        except StopIteration as done:
            result: T = done.value
            return result
