"""The keys that wait to be sent, so ordered that a million of them cost O(log n) per event.

An entry has an order (fresh before retries, then its time, then its key) and a time before which it is not sent.
It stands in one queue for each of its targets, or in the queue of the keys that any peer may answer. So all keys of a
queue have the same candidates, and looking at the head of a queue is enough:

* a queue whose peer is not ready is simply not looked at: its keys are parked there and cost nothing until the peer
  is ready, when nothing needs to be moved or scanned;
* within a queue fresh entries and retries are two heaps, and a head whose time has not come hides nothing behind it.

An entry that was taken or changed leaves its places in the heaps behind. They are skipped when they surface, and a heap
that is mostly such leftovers is replaced: a bounded number of them with each event, so that none takes long. If more of
them stand before the first current entry, a leftover is answered in its place, and who asks again comes further.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from heapq import heappop, heappush
from typing import Generic, TypeAlias, TypeVar

P = TypeVar("P")

Entry: TypeAlias = tuple[bool, float, bytes]
"""Whether it is a retry, its `not_before` and its key; their order is the order of sending.

An entry is current while its key still waits with this very object. A bare tuple costs the garbage collector nothing.
"""

IsCurrent = Callable[[Entry], bool]

_LEFTOVERS_ALLOWED = 64
_SWEPT_PER_EVENT = 8
_SKIPPED_AT_ONCE = 256


class SweptHeap:
    """Entries in order, some of them leftovers."""

    __slots__ = ("_current", "_entries", "_is_current", "_swept")

    def __init__(self, is_current: IsCurrent) -> None:
        self._is_current = is_current
        self._entries: list[Entry] = []
        self._swept: list[Entry] = []  # the heap that is being replaced; without its last element it is still one
        self._current = 0

    def __len__(self) -> int:
        return self._current

    @property
    def size(self) -> int:
        """How many entries it holds, leftovers included."""
        return len(self._entries) + len(self._swept)

    def push(self, entry: Entry) -> None:
        heappush(self._entries, entry)
        self._current += 1
        self._sweep()

    def forget(self) -> None:
        """One entry of this heap is no longer current."""
        self._current -= 1
        self._sweep()

    def first(self) -> Entry | None:
        """The first current entry, or a leftover that stands where it would."""
        entries = self._entries
        if not self._swept and (not entries or self._is_current(entries[0])):  # the usual case
            return entries[0] if entries else None
        heads = [heap[0] for heap in (self._entries, self._swept) if self._surface(heap)]
        return min(heads, default=None)

    def _surface(self, heap: list[Entry]) -> bool:
        for _ in range(_SKIPPED_AT_ONCE):
            if not heap or self._is_current(heap[0]):
                break
            heappop(heap)
        return bool(heap)

    def _sweep(self) -> None:
        if not self._swept and len(self._entries) <= 2 * self._current + _LEFTOVERS_ALLOWED:  # the usual case
            return
        for _ in range(min(_SWEPT_PER_EVENT, len(self._swept))):
            entry = self._swept.pop()
            if self._is_current(entry):
                heappush(self._entries, entry)
        if not self._swept and len(self._entries) > 2 * self._current + _LEFTOVERS_ALLOWED:
            self._entries, self._swept = self._swept, self._entries


class Queue:
    """Entries with the same candidates, in order."""

    __slots__ = ("_fresh", "_retries")

    def __init__(self, is_current: IsCurrent) -> None:
        self._fresh = SweptHeap(is_current)
        self._retries = SweptHeap(is_current)

    def __len__(self) -> int:
        return len(self._fresh) + len(self._retries)

    @property
    def size(self) -> int:
        """How many entries it holds, leftovers included."""
        return self._fresh.size + self._retries.size

    def push(self, entry: Entry) -> None:
        self._heap(entry).push(entry)

    def forget(self, entry: Entry) -> None:
        """This entry is no longer current."""
        self._heap(entry).forget()

    def due(self, now: float) -> Entry | None:
        """The first entry in order whose time has come, or a leftover that stands where it would."""
        for heap in (self._fresh, self._retries):
            first = heap.first()
            if first is not None and first[1] <= now:
                return first
        return None

    def next_time(self) -> float:
        """The smallest `not_before`, infinity for an empty queue; earlier if a leftover stands first."""
        firsts = (self._fresh.first(), self._retries.first())
        return min((first[1] for first in firsts if first is not None), default=math.inf)

    def _heap(self, entry: Entry) -> SweptHeap:
        return self._retries if entry[0] else self._fresh


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

    def forget(self, entry: Entry, targets: Iterable[P] | None) -> None:
        """An entry that was pushed with these targets is no longer current."""
        if targets is None:
            self._untargeted.forget(entry)
            return
        for peer in targets:
            self._targeted[peer].forget(entry)
            if not self._targeted[peer]:
                del self._targeted[peer]

    def drop(self, peer: P) -> None:
        """Nobody waits for this peer any more."""
        self._targeted.pop(peer, None)

    @property
    def untargeted(self) -> int:
        """Waiting entries that any peer may answer."""
        return len(self._untargeted)

    def waits_for(self, peer: P) -> bool:
        """Does some waiting entry name this peer as its target?"""
        return peer in self._targeted

    def due(self, now: float, ready: Collection[P]) -> Entry | None:
        """The first entry in order whose time has come and that one of the ready peers may be asked for.

        Or a leftover: then nothing can be said yet, and who asks again comes further.
        """
        if not ready:
            return None
        if not self._targeted:
            return self._untargeted.due(now)
        heads = [self._untargeted.due(now)]
        heads += [self._targeted[peer].due(now) for peer in ready if peer in self._targeted]
        return min((head for head in heads if head is not None), default=None)

    def wake_up(self, ready_at: Collection[tuple[P, float]]) -> float:
        """When an entry will first have both its time and a ready peer, given when each candidate is ready."""
        if not ready_at:
            return math.inf
        earliest = min(at for _, at in ready_at)
        times = [max(earliest, self._untargeted.next_time())]
        if self._targeted:
            times += [max(at, self._targeted[p].next_time()) for p, at in ready_at if p in self._targeted]
        return min(times)
