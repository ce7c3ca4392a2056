"""A binary heap whose entries can be taken out of its middle, so that it never holds more than what counts."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Entry(Generic[T]):
    """One item of a heap, which moves it. key: smaller comes first; it stays as it is while the entry is in a heap."""

    item: T
    key: float
    place: int = field(default=-1, init=False)


class Heap(Generic[T]):
    """Entries by their keys. Adding and removing cost O(log n), the first is at hand."""

    def __init__(self) -> None:
        self._entries: list[Entry[T]] = []

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def first(self) -> Entry[T] | None:
        """The entry with the smallest key; None in an empty heap."""
        return self._entries[0] if self._entries else None

    def add(self, entry: Entry[T]) -> None:
        """Put an entry in."""
        self._entries.append(entry)
        self._up(entry, len(self._entries) - 1)

    def remove(self, entry: Entry[T]) -> None:
        """Take out an entry that is in here."""
        last = self._entries.pop()
        if last is not entry:
            self._down(last, entry.place)
            self._up(last, last.place)
        entry.place = -1

    def in_order(self) -> Iterator[Entry[T]]:
        """Entries, smallest key first; the first k of them cost O(k log k). Nothing may be changed meanwhile."""
        entries = self._entries
        ahead = [(entries[0].key, 0)] if entries else []
        while ahead:
            _, place = heapq.heappop(ahead)
            yield entries[place]
            for child in (2 * place + 1, 2 * place + 2):
                if child < len(entries):
                    heapq.heappush(ahead, (entries[child].key, child))

    def _up(self, entry: Entry[T], place: int) -> None:
        entries, key = self._entries, entry.key
        while place:
            above = (place - 1) >> 1
            parent = entries[above]
            if parent.key <= key:
                break
            entries[place] = parent
            parent.place = place
            place = above
        entries[place] = entry
        entry.place = place

    def _down(self, entry: Entry[T], place: int) -> None:
        entries, key, size = self._entries, entry.key, len(self._entries)
        while (child := 2 * place + 1) < size:
            if child + 1 < size and entries[child + 1].key < entries[child].key:
                child += 1
            if key <= entries[child].key:
                break
            entries[place] = entries[child]
            entries[place].place = place
            place = child
        entries[place] = entry
        entry.place = place
