"""Whom to dial next: the peers that may be dialled, in order, and those that have to wait.

* Order: trusted peers; then those somebody vouches for (a set lists them, or we were connected) before those that only
  a hint named; of each first who never missed, then the oldest miss. So no invented peer comes before a known one.
* A random order among equals, so that a wrong address that some liar spread cannot starve the peer that lives there;
  and among equals no network has a second turn before each has had one.
* A peer waits until its time; while `urgent`, one that only rests after a loss does not, but comes last.
* Being listed reserves nothing: the same peers are listed again until one is dialled or discarded.
* Asked for some peers only, it passes over the others; over at most 1,024, where more are asked for than are looked at.
* A change costs O(log n), a query O(limit + excluded) log n, also with 100,000 peers that wait.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from msgspec import Struct

from ....transport.identity import PeerId
from .heap import Entry, Heap
from .known_peer import NEVER

_LOOK_AHEAD = 4  # times `limit`: among how many the networks take turns
_PASSED_LIMIT = 1024  # those that are passed over
_LOOKED_AT = 2048  # of the peers that are asked for
_MISS_BITS, _CHANCE_BITS = 32, 18  # with the 3 of a rank what a float holds; a miss in eighths of a second


class Turn(Struct, frozen=True):
    """When and in which order a peer is due. urgent_at: when it is due if connections are short.

    vouched: whether a set lists the peer, or a connection to it was open once. last_miss: monotonic seconds.
    """

    at: float
    urgent_at: float
    trusted: bool = False
    vouched: bool = False
    last_miss: float | None = None

    @property
    def rank(self) -> int:
        """Smaller is earlier; equal ranks are equals but for the time of their miss."""
        return 4 * (not self.trusted) + 2 * (not self.vouched) + (self.last_miss is not None)

    @property
    def order(self) -> tuple[int, float]:
        """Smaller is earlier: by rank, among equals whose dial failed longest ago."""
        return self.rank, self.last_miss or 0.0


@dataclass(slots=True, eq=False)
class _Queued(Entry[PeerId]):
    turn: Turn = field(kw_only=True)
    ready: bool = field(default=False, init=False)


class DialQueue:
    """Peers that may be dialled, now or later. `changed` is set by each `put`, for whoever wakes the dialling side."""

    def __init__(self, rng: random.Random, network: Callable[[PeerId], Hashable] = lambda peer: peer) -> None:
        """network: where a peer is, as far as turns are concerned."""
        self.changed = False
        self._rng = rng
        self._network = network
        self._queued: dict[PeerId, _Queued] = {}
        self._resting: dict[PeerId, None] = {}
        self._waiting: Heap[PeerId] = Heap()  # by time
        self._ready: Heap[PeerId] = Heap()  # by rank, miss and chance

    def __len__(self) -> int:
        return len(self._queued)

    def put(self, peer: PeerId, turn: Turn) -> None:
        """Queue a peer, or change its turn."""
        before = self._queued.get(peer)
        if before is not None:
            if before.turn == turn:
                return
            self._take_out(before)
        queued = self._queued[peer] = _Queued(peer, turn.at, turn=turn)
        if turn.urgent_at < turn.at:
            self._resting[peer] = None
        if turn.at == NEVER:
            self._make_ready(queued)  # has nothing to wait for
        else:
            self._waiting.add(queued)
        self.changed = True

    def discard(self, peer: PeerId) -> None:
        """The peer may not be dialled, now or later."""
        queued = self._queued.pop(peer, None)
        if queued is not None:
            self._take_out(queued)

    def take(
        self,
        limit: int,
        exclude: Collection[PeerId],
        now: float,
        *,
        urgent: bool = False,
        avoid: Collection[Hashable] = (),
        among: frozenset[PeerId] | None = None,
    ) -> tuple[tuple[PeerId, ...], float | None]:
        """At most `limit` peers that are due, and when the next one is that only waits (None: nobody waits).

        avoid: networks whose peers are left out unless they are trusted. Of very many of those at most 1,024 are
        looked at. among: only these peers, None for anybody; the next one may be another.
        """
        self._promote(now)
        chosen = self._due(limit, exclude, avoid, among)
        if urgent:
            chosen += self._at_rest(limit - len(chosen), exclude, avoid, among, now)
        return tuple(chosen), self._next(now, urgent)

    def _due(
        self, limit: int, exclude: Collection[PeerId], avoid: Collection[Hashable], among: frozenset[PeerId] | None
    ) -> list[PeerId]:
        """The first in order, networks taking turns among those of one rank."""
        chosen: list[PeerId] = []
        candidates = self._candidates(limit, exclude, avoid, among)
        for _, equals in groupby(candidates, lambda peer: self._queued[peer].turn.rank):
            chosen += self._in_turns(equals)
        return chosen[:limit]

    def _candidates(
        self, limit: int, exclude: Collection[PeerId], avoid: Collection[Hashable], among: frozenset[PeerId] | None
    ) -> Iterator[PeerId]:
        left, passed = _LOOK_AHEAD * limit, _PASSED_LIMIT
        for peer in self._in_order(among):
            if left == 0 or passed == 0:
                return
            if (among is not None and peer not in among) or (avoid and self._is_avoided(peer, avoid)):
                passed -= 1
            elif peer not in exclude:
                left -= 1
                yield peer

    def _in_order(self, among: frozenset[PeerId] | None) -> Iterator[PeerId]:
        """Those that are due, the first in order first; of few that are asked for only these."""
        if among is None or len(among) > _LOOKED_AT:
            return (entry.item for entry in self._ready.in_order())
        known = (self._queued[peer] for peer in among if peer in self._queued)
        due = sorted((each for each in known if each.ready), key=lambda each: (each.key, each.place))
        return (each.item for each in due)

    def _is_avoided(self, peer: PeerId, avoid: Collection[Hashable]) -> bool:
        return not self._queued[peer].turn.trusted and self._network(peer) in avoid

    def _in_turns(self, peers: Iterator[PeerId]) -> list[PeerId]:
        turns: Counter[Hashable] = Counter()
        order: list[tuple[int, int, PeerId]] = []
        for peer in peers:
            network = self._network(peer)
            order.append((turns[network], len(order), peer))
            turns[network] += 1
        return [peer for _, _, peer in sorted(order)]

    def _at_rest(
        self,
        limit: int,
        exclude: Collection[PeerId],
        avoid: Collection[Hashable],
        among: frozenset[PeerId] | None,
        now: float,
    ) -> list[PeerId]:
        due = [
            peer
            for peer in self._resting
            if (among is None or peer in among)
            and self._queued[peer].turn.urgent_at <= now
            and peer not in exclude
            and not self._is_avoided(peer, avoid)
        ]
        return heapq.nsmallest(limit, due, key=lambda peer: self._queued[peer].turn.order)

    def _next(self, now: float, urgent: bool) -> float | None:
        times = [self._waiting.first.key] if self._waiting.first is not None else []
        if urgent:
            times += [at for peer in self._resting if (at := self._queued[peer].turn.urgent_at) > now]
        return min(times, default=None)

    def _promote(self, now: float) -> None:
        """Move those whose time has come."""
        while (first := self._waiting.first) is not None and first.key <= now:
            queued = self._queued[first.item]
            self._take_out(queued)
            self._make_ready(queued)

    def _make_ready(self, queued: _Queued) -> None:
        rank, miss = queued.turn.order
        chance = self._rng.getrandbits(_CHANCE_BITS)
        queued.key = float(((rank << _MISS_BITS) + int(miss * 8) << _CHANCE_BITS) + chance)  # one number: small, quick
        queued.ready = True
        self._ready.add(queued)

    def _take_out(self, queued: _Queued) -> None:
        (self._ready if queued.ready else self._waiting).remove(queued)
        self._resting.pop(queued.item, None)
