"""The keys that wait to be sent, so ordered that a million of them cost O(log n) per event.

An entry has an order (fresh before retries, then its time, then its key) and a time before which it is not sent.
It stands in one queue for each of its targets, or in the queue of the keys that any peer may answer. So all keys of a
queue have the same candidates, and looking at the head of a queue is enough:

* a queue whose peer is not ready is simply not looked at: its keys are parked there and cost nothing until the peer
  is ready, when nothing needs to be moved or scanned;
* within a queue fresh entries and retries are two heaps, and a head whose time has not come hides nothing behind it.

An entry that was taken or changed leaves its places in the heaps behind; they are skipped when they surface, and a
queue that is mostly such leftovers is rebuilt, which is O(1) per entry on the whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from heapq import heapify, heappop, heappush
from typing import Generic, NamedTuple, TypeVar

P = TypeVar("P")

_LEFTOVERS_ALLOWED = 64


class Entry(NamedTuple):
    """Its order is the order of sending. An entry is current while its key still holds this very object."""

    is_retry: bool
    not_before: float
    key: bytes


IsCurrent = Callable[[Entry], bool]


class Queue:
    """Entries with the same candidates, in order."""

    def __init__(self, is_current: IsCurrent) -> None:
        self._is_current = is_current
        self._fresh: list[Entry] = []
        self._retries: list[Entry] = []
        self._current = 0

    def __len__(self) -> int:
        return self._current

    def push(self, entry: Entry) -> None:
        heappush(self._retries if entry.is_retry else self._fresh, entry)
        self._current += 1

    def forget(self) -> None:
        """One entry of this queue is no longer current."""
        self._current -= 1
        if len(self._fresh) + len(self._retries) > 2 * self._current + _LEFTOVERS_ALLOWED:
            for heap in (self._fresh, self._retries):
                heap[:] = filter(self._is_current, heap)
                heapify(heap)

    def due(self, now: float) -> Entry | None:
        """The first entry in order whose time has come."""
        for heap in (self._fresh, self._retries):
            if self._next_time(heap) <= now:
                return heap[0]
        return None

    def next_time(self) -> float:
        """The smallest `not_before`, infinity for an empty queue."""
        return min(self._next_time(self._fresh), self._next_time(self._retries))

    def _next_time(self, heap: list[Entry]) -> float:
        while heap and not self._is_current(heap[0]):
            heappop(heap)
        return heap[0].not_before if heap else math.inf


class Pending(Generic[P]):
    """The queue of untargeted entries and the queue of each peer that some waiting entry names as target."""

    def __init__(self, is_current: IsCurrent) -> None:
        self._is_current = is_current
        self._untargeted = Queue(is_current)
        self._targeted: dict[P, Queue] = {}

    def push(self, entry: Entry, targets: Iterable[P] | None) -> None:
        """Let the entry wait for any of these peers, or for any peer at all (None)."""
        if targets is None:
            self._untargeted.push(entry)
            return
        for peer in targets:
            if peer not in self._targeted:
                self._targeted[peer] = Queue(self._is_current)
            self._targeted[peer].push(entry)

    def forget(self, targets: Iterable[P] | None) -> None:
        """An entry that was pushed with these targets is no longer current."""
        if targets is None:
            self._untargeted.forget()
            return
        for peer in targets:
            self._targeted[peer].forget()
            if not self._targeted[peer]:
                del self._targeted[peer]

    def drop(self, peer: P) -> None:
        """Nobody waits for this peer any more."""
        self._targeted.pop(peer, None)

    def waits_for(self, peer: P) -> bool:
        """Does some waiting entry name this peer as its target?"""
        return peer in self._targeted

    def targets(self) -> list[P]:
        """Every peer that a waiting entry names."""
        return list(self._targeted)

    def due(self, now: float, ready: Collection[P]) -> Entry | None:
        """The first entry in order whose time has come and that one of the ready peers may be asked for."""
        if not ready:
            return None
        heads = [self._untargeted.due(now)]
        if self._targeted:
            heads += [self._targeted[peer].due(now) for peer in ready if peer in self._targeted]
        return min((head for head in heads if head is not None), default=None)

    def wake_up(self, ready_at: Collection[tuple[P, float]]) -> float:
        """When an entry will first have both its time and a ready peer, given when each candidate is ready."""
        earliest = min((at for _, at in ready_at), default=math.inf)
        times = [max(earliest, self._untargeted.next_time())]
        if self._targeted:
            times += [max(at, self._targeted[p].next_time()) for p, at in ready_at if p in self._targeted]
        return min(times)
