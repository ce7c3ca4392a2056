"""Whom to dial next: the peers that may be dialled, in order, and those that have to wait.

* Order: trusted peers first, then those that never missed, then the oldest miss; a random order among equals, so that
  a wrong address that some liar spread cannot starve the peer that really lives there.
* A peer waits until its time; while `urgent`, one that only rests after a loss does not, but comes last.
* Being listed reserves nothing: the same peers are listed again until one is dialled or discarded.
* A change costs O(log n), a query O(limit + excluded) log n, also with 100,000 peers that wait.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Collection
from dataclasses import dataclass

from ...transport.identity import PeerId
from .pace import NEVER

_SMALLEST_SWEEP = 64


@dataclass(frozen=True, slots=True)
class Turn:
    """When and in which order a peer is due. urgent_at: when it is due if connections are short."""

    at: float
    urgent_at: float
    trusted: bool
    last_miss: float | None

    @property
    def order(self) -> tuple[bool, bool, float]:
        """Smaller is earlier."""
        return (not self.trusted, self.last_miss is not None, self.last_miss or 0.0)


@dataclass(frozen=True, slots=True)
class _Entry:
    serial: int  # heap items with another serial are void
    turn: Turn


class DialQueue:
    """Peers that may be dialled, now or later. `changed` is set by each `put`, for whoever wakes the dialling side."""

    def __init__(self, rng: random.Random) -> None:
        self.changed = False
        self._rng = rng
        self._serial = 0
        self._entries: dict[PeerId, _Entry] = {}
        self._resting: dict[PeerId, None] = {}
        self._waiting: list[tuple[float, int, PeerId]] = []
        self._ready: list[tuple[tuple[bool, bool, float], float, int, PeerId]] = []

    def put(self, peer: PeerId, turn: Turn) -> None:
        """Queue a peer, or change its turn."""
        entry = self._entries.get(peer)
        if entry is not None and entry.turn == turn:
            return
        self._serial += 1
        self._entries[peer] = _Entry(self._serial, turn)
        self._resting.pop(peer, None)
        if turn.urgent_at < turn.at:
            self._resting[peer] = None
        if turn.at == NEVER:
            self._make_ready(peer, self._entries[peer])  # has nothing to wait for
        else:
            heapq.heappush(self._waiting, (turn.at, self._serial, peer))
        self.changed = True
        self._sweep()

    def discard(self, peer: PeerId) -> None:
        """The peer may not be dialled, now or later."""
        self._entries.pop(peer, None)
        self._resting.pop(peer, None)

    def take(
        self, limit: int, exclude: Collection[PeerId], now: float, *, urgent: bool = False
    ) -> tuple[tuple[PeerId, ...], float | None]:
        """At most `limit` peers that are due, and when the next one is that only waits (None: nobody waits)."""
        self._promote(now)
        chosen: list[PeerId] = []
        seen: list[PeerId] = []
        while self._ready and len(chosen) < limit:
            _, _, serial, peer = heapq.heappop(self._ready)
            if not self._is_current(peer, serial):
                continue
            seen.append(peer)
            if peer not in exclude:
                chosen.append(peer)
        for peer in seen:
            self._make_ready(peer, self._entries[peer])
        if urgent:
            chosen += self._at_rest(limit - len(chosen), exclude, now)
        return tuple(chosen), self._next(now, urgent)

    def _at_rest(self, limit: int, exclude: Collection[PeerId], now: float) -> list[PeerId]:
        due = [peer for peer in self._resting if self._entries[peer].turn.urgent_at <= now and peer not in exclude]
        return heapq.nsmallest(limit, due, key=lambda peer: self._entries[peer].turn.order)

    def _next(self, now: float, urgent: bool) -> float | None:
        while self._waiting and not self._is_current(self._waiting[0][2], self._waiting[0][1]):
            heapq.heappop(self._waiting)
        times = [self._waiting[0][0]] if self._waiting else []
        if urgent:
            times += [at for peer in self._resting if (at := self._entries[peer].turn.urgent_at) > now]
        return min(times, default=None)

    def _promote(self, now: float) -> None:
        """Move those whose time has come."""
        while self._waiting and self._waiting[0][0] <= now:
            _, serial, peer = heapq.heappop(self._waiting)
            if self._is_current(peer, serial):
                self._resting.pop(peer, None)
                self._make_ready(peer, self._entries[peer])

    def _make_ready(self, peer: PeerId, entry: _Entry) -> None:
        heapq.heappush(self._ready, (entry.turn.order, self._rng.random(), entry.serial, peer))

    def _is_current(self, peer: PeerId, serial: int) -> bool:
        entry = self._entries.get(peer)
        return entry is not None and entry.serial == serial

    def _sweep(self) -> None:
        """Drop void items each time the heaps have outgrown what is queued, so that they cost O(1) amortised."""
        if len(self._waiting) + len(self._ready) <= 2 * len(self._entries) + _SMALLEST_SWEEP:
            return
        self._waiting = [item for item in self._waiting if self._is_current(item[2], item[1])]
        self._ready = [item for item in self._ready if self._is_current(item[3], item[2])]
        heapq.heapify(self._waiting)
        heapq.heapify(self._ready)
