"""What is still to be sent, each item a limited number of times; one for updates, one for the application's broadcasts.

* There is one item per key: a newer one replaces the older and starts with all its copies.
* The item with most copies left goes first, then the one that has waited longest.
* Each packet that carries an item costs it one copy; without copies left it is gone. An item that does not fit is kept
  and costs nothing, and does not hold up items that do fit.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ["Backlog"]

K = TypeVar("K", bound=Hashable)

_MISSES = 8
"""A packet counts as full after so many items that did not fit, so that it never costs a walk through a long queue."""


class Backlog(Generic[K]):
    """A queue by copies left: `_shelves[n]` holds the encoded items with n copies to go, oldest first."""

    __slots__ = ("_copies", "_shelves", "size")

    def __init__(self) -> None:
        self._copies: dict[K, int] = {}
        self._shelves: dict[int, dict[K, bytes]] = {}
        self.size = 0
        """Bytes of all items together, one copy of each."""

    def __len__(self) -> int:
        return len(self._copies)

    def __iter__(self) -> Iterator[K]:
        return iter(tuple(self._copies))

    def add(self, key: K, encoded: bytes, copies: int) -> None:
        self.discard(key)
        self._put(key, encoded, copies)

    def discard(self, key: K) -> None:
        copies = self._copies.get(key)
        if copies is not None:
            self._take(key, copies)

    def most_sent(self) -> K:
        """The key of the item with fewest copies left, the oldest of those. Raises ValueError if there is none."""
        return next(iter(self._shelves[min(self._shelves)]))

    def cut(self, max_bytes: int, limit: int) -> int:
        """Discard items longer than `max_bytes`, then the most sent beyond `limit` items; returns how many."""
        before = len(self)
        for key, copies in tuple(self._copies.items()):
            if len(self._shelves[copies][key]) > max_bytes:
                self._take(key, copies)
        while len(self) > limit:
            self.discard(self.most_sent())
        return before - len(self)

    def fill(self, room: int, max_items: int) -> list[bytes]:
        """At most `max_items` encoded items of at most `room` bytes together; each loses one copy."""
        if not self._copies:
            return []
        chosen: list[tuple[K, int]] = []
        misses = 0
        for copies in sorted(self._shelves, reverse=True):
            for key, encoded in self._shelves[copies].items():
                if len(chosen) == max_items or misses == _MISSES:
                    return self._spend(chosen)
                if len(encoded) > room:
                    misses += 1
                    continue
                chosen.append((key, copies))
                room -= len(encoded)
        return self._spend(chosen)

    def _spend(self, chosen: list[tuple[K, int]]) -> list[bytes]:
        """Move the chosen items to the end of the next lower shelf. Written out, as each packet does it many times."""
        result, shelves, copies_of = [], self._shelves, self._copies
        for key, copies in chosen:
            shelf = shelves[copies]
            encoded = shelf.pop(key)
            result.append(encoded)
            if not shelf:
                del shelves[copies]
            if copies == 1:
                del copies_of[key]
                self.size -= len(encoded)
                continue
            copies_of[key] = copies - 1
            lower = shelves.get(copies - 1)
            if lower is None:
                shelves[copies - 1] = {key: encoded}
            else:
                lower[key] = encoded
        return result

    def _put(self, key: K, encoded: bytes, copies: int) -> None:
        self._copies[key] = copies
        self._shelves.setdefault(copies, {})[key] = encoded
        self.size += len(encoded)

    def _take(self, key: K, copies: int) -> bytes:
        del self._copies[key]
        shelf = self._shelves[copies]
        encoded = shelf.pop(key)
        if not shelf:
            del self._shelves[copies]
        self.size -= len(encoded)
        return encoded
